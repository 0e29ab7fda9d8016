import { UserError } from '../base/errors.ts'

/** A saved domain cannot be restored: what is wrong with its stream. */
export class StreamError extends UserError {
	constructor(message: string) {
		super(message, { code: 'bad-stream' })
		this.name = 'StreamError'
	}
}

/** A domain cannot be saved as it is: what the guest has done that a stream has no words for. */
export class CannotSave extends UserError {
	constructor(message: string) {
		super(message, { code: 'cannot-save' })
		this.name = 'CannotSave'
	}
}

import { UserError } from '../../base/errors.ts'

/** What is wrong with a kernel image that the user named. */
export class ImageError extends UserError {
	constructor(message: string) {
		super(message, { code: 'bad-kernel-image' })
		this.name = 'ImageError'
	}
}

export function truncated(): ImageError {
	return new ImageError('the compressed kernel image is truncated')
}

export function corrupt(): ImageError {
	return new ImageError('the compressed kernel image is corrupt')
}

/** A reader that goes away (`xm list | head -1`) ends the program, and is no fault of ours. */
export function endWithReader(): void {
	process.stdout.on('error', (error: NodeJS.ErrnoException) => {
		if (error.code === 'EPIPE') process.exit(0)
		throw error
	})
}

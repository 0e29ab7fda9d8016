import type { Statistics } from '../daemon/api.ts'
import type { CommandContext } from './command.ts'
import { COLUMNS, pcpuTable, type TopView, topRows, topSummary, topTable } from './top_screen.ts'

interface LiveOptions {
	readonly view: TopView
	readonly delay_s: number
	readonly iterations: number
}

const ENTER_SCREEN = '\u001b[?1049h\u001b[?25l'
const LEAVE_SCREEN = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const CLEAR_LINE = '\u001b[K'
const CLEAR_BELOW = '\u001b[J'
const REVERSE = (text: string) => `\u001b[7m${text}\u001b[0m`
const KEYS_LINE = '  [D]elay  [N]etworks  v[B]ds  [V]CPUs  [R]epeat header  [S]ort order  [Q]uit'
const ARROWS: Readonly<Record<string, number>> = { '\u001b[A': -1, '\u001b[B': 1, '\u001bOA': -1, '\u001bOB': 1 }
const TERMINAL_ROWS = 24
const TERMINAL_COLUMNS = 80

/** What the keys have made of the screen. Pure: draw() and press() are all there is to it. */
export class TopScreen {
	view: TopView
	delay_s: number
	done = false
	/** Domains above the first that is shown. */
	private scroll = 0
	/** The delay that is being typed. */
	private typed: string | undefined

	constructor({ view, delay_s }: Pick<LiveOptions, 'view' | 'delay_s'>) {
		this.view = view
		this.delay_s = delay_s
	}

	/** One key, or an arrow's sequence. False when it changes nothing. */
	press(key: string): boolean {
		if (this.typed !== undefined) return this.type(key)
		const step = ARROWS[key]
		if (step !== undefined) {
			this.scroll = Math.max(0, this.scroll + step)
			return true
		}
		const { view } = this
		switch (key.toLowerCase()) {
			case 'q':
			case '\u0003':
			case '\u001b':
				this.done = true
				return true
			case 'd':
				this.typed = ''
				return true
			case 'n':
				this.view = { ...view, networks: !view.networks }
				return true
			case 'b':
				this.view = { ...view, vbds: !view.vbds }
				return true
			case 'v':
				this.view = { ...view, vcpus: !view.vcpus }
				return true
			case 'r':
				this.view = { ...view, repeatHeader: !view.repeatHeader }
				return true
			case 's':
				this.view = { ...view, sortColumn: (view.sortColumn + 1) % COLUMNS.length }
				return true
		}
		return false
	}

	/** The whole screen, `rows` lines of at most `columns` characters. */
	draw(now: Statistics, before: Statistics | undefined, { rows, columns, date }: { rows: number; columns: number; date: Date }): string[] {
		const domains = topRows(now, before, this.view)
		this.scroll = Math.min(this.scroll, domains.length - 1)
		const [heading = '', ...domainLines] = topTable(domains.slice(this.scroll), this.view)
		const table = this.view.pcpus ? [...domainLines, ...pcpuTable(now, before)] : domainLines
		const above = topSummary(now, date)
		const body = table.slice(0, Math.max(0, rows - above.length - 2))
		const prompt = this.typed === undefined ? KEYS_LINE : `Change delay from ${this.delay_s} to: ${this.typed}`
		const cut = (line: string) => line.slice(0, columns)
		const space = new Array(Math.max(0, rows - above.length - 2 - body.length)).fill('')
		return [...above.map(cut), REVERSE(cut(heading)), ...body.map(cut), ...space, cut(prompt)]
	}

	private type(key: string): boolean {
		if (key === '\r' || key === '\n') {
			const delay_s = Number(this.typed)
			if (delay_s > 0) this.delay_s = delay_s
			this.typed = undefined
		} else if (key === '\u007f' || key === '\b') this.typed = this.typed?.slice(0, -1)
		else if (key === '\u001b' || key === '\u0003') this.typed = undefined
		else if (/^\d$/.test(key) && (this.typed ?? '').length < 6) this.typed += key
		else return false
		return true
	}
}

/** Draws until Q, Ctrl-C or the last iteration. The terminal is put back on every way out that can be caught. */
export async function liveTop(context: CommandContext, take: () => Promise<Statistics>, options: LiveOptions): Promise<number> {
	const { stdin, stdout } = context
	const screen = new TopScreen(options)
	let now = await take()
	let before: Statistics | undefined
	let wake = () => {}
	const draw = () => {
		const { rows = TERMINAL_ROWS, columns = TERMINAL_COLUMNS } = stdout as { rows?: number; columns?: number }
		const lines = screen.draw(now, before, { rows, columns, date: new Date() })
		stdout.write(`${HOME}${lines.map((line) => line + CLEAR_LINE).join('\r\n')}${CLEAR_BELOW}`)
	}
	const onKeys = (chunk: Uint8Array) => {
		for (const key of splitKeys(new TextDecoder().decode(chunk))) if (screen.press(key)) draw()
		if (screen.done) wake()
	}
	const restore = takeScreen(context)
	stdin.on('data', onKeys)
	stdout.on('resize', draw)
	stdin.resume()
	try {
		for (let n = 1; ; n++) {
			draw()
			if (screen.done || n >= options.iterations) return 0
			await new Promise<void>((resolve) => {
				const timer = setTimeout(resolve, screen.delay_s * 1000)
				wake = () => {
					clearTimeout(timer)
					resolve()
				}
			})
			if (screen.done) return 0
			const next = await take()
			before = now
			now = next
		}
	} finally {
		stdin.off('data', onKeys)
		stdout.off('resize', draw)
		stdin.pause()
		restore()
	}
}

/** Single characters, and arrows as the sequences that they are. */
function splitKeys(text: string): string[] {
	const keys: string[] = []
	for (let at = 0; at < text.length; ) {
		const arrow = text.slice(at, at + 3)
		const key = arrow in ARROWS ? arrow : (text[at] as string)
		keys.push(key)
		at += key.length
	}
	return keys
}

function takeScreen({ stdin, stdout }: CommandContext): () => void {
	const signals = ['SIGTERM', 'SIGHUP', 'SIGINT'] as const
	const restore = () => {
		process.off('exit', restore)
		for (const signal of signals) process.off(signal, onSignal)
		stdin.setRawMode?.(false)
		stdout.write(LEAVE_SCREEN)
	}
	const onSignal = (signal: NodeJS.Signals) => {
		restore()
		process.kill(process.pid, signal)
	}
	process.on('exit', restore)
	for (const signal of signals) process.on(signal, onSignal)
	stdin.setRawMode?.(true)
	stdout.write(ENTER_SCREEN)
	return restore
}

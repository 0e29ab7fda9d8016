import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Daemon } from '../daemon/daemon.ts'
import { hostClock } from '../platform/node/host_clock.ts'
import { openFile } from '../platform/node/input_file.ts'
import { loadCore } from '../platform/node/load_core.ts'
import { createFile } from '../platform/node/output_file.ts'
import { readImage } from '../platform/node/read_image.ts'
import { regionCacheDirectory } from '../platform/node/region_cache.ts'
import { nodeVcpuThreads } from '../platform/node/vcpu_thread.ts'
import { embeddedHost } from '../toolstack/embedded_host.ts'
import type { LogLevel } from '../toolstack/log_level.ts'
import { MemoryRecords } from '../toolstack/record_store.ts'
import { Hypervisor } from '../xen/hypervisor.ts'
import { XendClient } from './client.ts'
import { Xen } from './xen.ts'

export interface EmbeddedOptions {
	/** What xend would write to its log. */
	readonly log?: (level: LogLevel, message: string) => void
	/** What `xm dmesg` would show, as it comes. */
	readonly onHypervisorLog?: (line: string) => void
}

/** setTimeout's longest. */
const NEVER_S = 2 ** 31 / 1000 - 1

/**
 * Hypervisor, xenstored and toolstack in this process, for a program that wants domains of its own: nothing is left behind. Its domains
 * go when it is disposed of, and with the process; xm does not see them.
 */
export class EmbeddedXen extends Xen implements AsyncDisposable {
	private readonly close: () => Promise<void>

	private constructor(client: XendClient, close: () => Promise<void>) {
		super(client)
		this.close = close
	}

	static async start({ log = () => {}, onHypervisorLog = () => {} }: EmbeddedOptions = {}): Promise<EmbeddedXen> {
		const clockOrigin = process.hrtime()
		const threads = nodeVcpuThreads(await loadCore(), clockOrigin, { regionCache: regionCacheDirectory() })
		const hypervisor = new Hypervisor({ clock: hostClock(clockOrigin), threads, onLog: (_, line) => onHypervisorLog(line) })
		const host = embeddedHost(hypervisor, readImage, { createFile, openFile })
		const directory = mkdtempSync(join(tmpdir(), 'xenotype-'))
		const client = new XendClient(join(directory, 'xend.sock'))
		const daemon = new Daemon({
			socket: client.socketPath,
			open: async () => ({ ...host, lost: new Promise<void>(() => {}), close: async () => {} }),
			records: new MemoryRecords(),
			version: 'embedded',
			log,
			idleExit_s: NEVER_S,
		})
		await daemon.listen()
		return new EmbeddedXen(client, async () => {
			await daemon.end('its program has done with it', { domains: 'destroy' })
			await host.xen.close()
			await threads.close()
			rmSync(directory, { recursive: true, force: true })
		})
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}
}

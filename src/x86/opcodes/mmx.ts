// MMX, and the SSE instructions that touch an MMX register.
//
// The first two groups follow opcodes/packed.ts in its order and so parallel the XMM forms' numbers; core/mmx.ts relies on it.

import { packedInteger, packedShiftImmediate } from './packed.ts'
import type { OpcodeRow } from './row.ts'

/** PUNPCKLxx read 32 bits of memory, all others 64. */
function source(name: string): string {
	return name.startsWith('PUNPCKL') ? 'Qd' : 'Qq'
}

export const mmxRows: readonly OpcodeRow[] = [
	...packedInteger.map(([opcode, name]): OpcodeRow => [`NP ${opcode} /r`, `MMX_${name}`, `Pq,${source(name)}`]),
	...packedShiftImmediate.map(([opcode, name]): OpcodeRow => [`NP ${opcode} reg ib`, `MMX_${name}`, 'Nq,Ib']),
	['NP 0F 3A 0F /r ib', 'MMX_PALIGNR', 'Pq,Qq,Ib'],
	['NP 0F 70 /r ib', 'MMX_PSHUFW', 'Pq,Qq,Ib'],
	['NP 0F 6E /r', 'MMX_MOVD_P_E', 'Pq,Ey'],
	['NP 0F 7E /r', 'MMX_MOVD_E_P', 'Ey,Pq'],
	['NP 0F 6F /r', 'MMX_MOVQ_P_Q', 'Pq,Qq'],
	['NP 0F 7F /r', 'MMX_MOVQ_Q_P', 'Qq,Pq'],
	['NP 0F E7 /r mem', 'MMX_MOVQ_Q_P', 'Qq,Pq'],
	['NP 0F C4 /r ib', 'MMX_PINSRW', 'Pq,Ed,Ib'],
	['NP 0F C5 /r reg ib', 'MMX_PEXTRW', 'Gd,Nq,Ib'],
	['NP 0F D7 /r reg', 'MMX_PMOVMSKB', 'Gd,Nq'],
	['NP 0F F7 /r reg', 'MMX_MASKMOVQ', 'Pq,Nq'],
	['F3 0F D6 /r reg', 'MMX_MOVQ2DQ', 'Vx,Nq'],
	['F2 0F D6 /r reg', 'MMX_MOVDQ2Q', 'Pq,Ux'],
	['NP 0F 2A /r', 'MMX_CVTPI2PS', 'Vx,Qq'],
	['66 0F 2A /r', 'MMX_CVTPI2PD', 'Vx,Qq'],
	['NP 0F 2C /r', 'MMX_CVTTPS2PI', 'Pq,Wq'],
	['66 0F 2C /r', 'MMX_CVTTPD2PI', 'Pq,Wx'],
	['NP 0F 2D /r', 'MMX_CVTPS2PI', 'Pq,Wq'],
	['66 0F 2D /r', 'MMX_CVTPD2PI', 'Pq,Wx'],
	['NP 0F 77', 'MMX_EMMS', ''],
]

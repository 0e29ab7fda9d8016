import { ALU, FORMS, fused, fusedPairs, PLAIN, plain, SHIFTS } from '../opcodes/fast.ts'

// Writes the interpreter's main loop, in AssemblyScript: one function, one switch, flags and the record pointer in locals.
//
// Conventions inside the loop:
//   ip      record being executed; `ip += REC_SIZE; continue` goes on to the next one
//   break   leaves the loop: exitReason is set; RIP is that of `ip`, unless `leave` is set, when CPU_RIP already holds it
//   kind, a, b   the lazy flags (flags.ts)
//   budget  records that may still run; charged when a trace is left

const bits = (size: number) => 64 - size
const unsigned = (size: number) => `u${size}`
/** Stores a result in a register: 32-bit results clear the upper half. */
const setRegister = (field: string, size: number, value: string) =>
	size === 32 ? `store<u64>(r + load<u8>(ip, ${field}), <u64>${value});` : `store<u${size}>(r + load<u8>(ip, ${field}), ${value});`
const register = (field: string, size: number) => `load<u${size}>(r + load<u8>(ip, ${field}))`

const EA =
	'(load<u64>(r + load<u8>(ip, L.REC_BASE)) + (load<u64>(r + load<u8>(ip, L.REC_INDEX)) << load<u8>(ip, L.REC_SCALE)) + load<u64>(r + load<u8>(ip, L.REC_SEG)) + <u64>load<i32>(ip, L.REC_DISP))'
/** The same of a base and a displacement only. */
const PLAIN_EA = '(load<u64>(r + load<u8>(ip, L.REC_BASE)) + <u64>load<i32>(ip, L.REC_DISP))'
const page = (size: number) => (size === 8 ? '(va & PAGE)' : `((va + ${size / 8 - 1}) & PAGE)`)
const read = (size: number, address = EA) => `va = ${address};
        slot = tR + (<usize>(va >> 8) & TLB_MASK);
        h = load<u64>(slot) == ${page(size)} ? <usize>(<u32>va + load<u32>(slot, 8)) : readSlow(va, ${size / 8});
        if (h == FAULT) break;`
const write = (size: number, address = EA) => `va = ${address};
        slot = tW + (<usize>(va >> 8) & TLB_MASK);
        h = load<u64>(slot) == ${page(size)} ? <usize>(<u32>va + load<u32>(slot, 8)) : writeSlow(va, ${size / 8});
        if (h == FAULT) break;`
const COMMIT = 'if (h < fb && !commitWrite()) break;'
const NEXT = 'ip += L.REC_SIZE; continue;'

const setFlags = (kind: string, size: number, x: string, y: string) =>
	`kind = ${kind} | ${bits(size) << 8}; a = <u64>${x} << ${bits(size)}; b = ${y === '0' ? '0' : `<u64>${y} << ${bits(size)}`};`

/** Body of x op y; `x`, `y` are locals of the width. `put` stores the result `z`. */
function alu(name: string, size: number, put: string): string {
	const t = unsigned(size)
	const compute: Record<string, string> = {
		ADD: `<${t}>(x + y)`,
		SUB: `<${t}>(x - y)`,
		AND: `<${t}>(x & y)`,
		OR: `<${t}>(x | y)`,
		XOR: `<${t}>(x ^ y)`,
		TEST: `<${t}>(x & y)`,
		CMP: '0',
	}
	const flags =
		name === 'ADD'
			? setFlags('CC_ADD', size, 'x', 'y')
			: name === 'SUB' || name === 'CMP'
				? setFlags('CC_SUB', size, 'x', 'y')
				: setFlags('CC_RES', size, 'z', '0')
	const needsResult = name !== 'CMP'
	return `${needsResult ? `const z: ${t} = ${compute[name]};` : ''} ${put} ${flags} ${NEXT}`
}

function aluCases(): string {
	const out: string[] = []
	for (const name of ALU) {
		const keeps = name === 'CMP' || name === 'TEST'
		for (const size of [8, 16, 32, 64]) {
			const t = unsigned(size)
			for (const form of FORMS) {
				const body: Record<string, string> = {
					RR: `const x = ${register('L.REC_RM', size)}; const y = ${register('L.REC_REG', size)}; ${alu(name, size, keeps ? '' : setRegister('L.REC_RM', size, 'z'))}`,
					RI: `const x = ${register('L.REC_RM', size)}; const y = load<${t}>(ip, L.REC_IMM); ${alu(name, size, keeps ? '' : setRegister('L.REC_RM', size, 'z'))}`,
					RM: `${read(size)} const x = ${register('L.REC_REG', size)}; const y = load<${t}>(h); ${alu(name, size, keeps ? '' : setRegister('L.REC_REG', size, 'z'))}`,
					MR: `${keeps ? read(size) : write(size)} const x = load<${t}>(h); const y = ${register('L.REC_REG', size)}; ${alu(name, size, keeps ? '' : `store<${t}>(h, z); ${COMMIT}`)}`,
					MI: `${keeps ? read(size) : write(size)} const x = load<${t}>(h); const y = load<${t}>(ip, L.REC_IMM); ${alu(name, size, keeps ? '' : `store<${t}>(h, z); ${COMMIT}`)}`,
				}
				out.push(`      case OP_F_${name}_${form}${size}: { ${body[form]} }`)
			}
		}
	}
	return out.join('\n')
}

function movCases(): string {
	const out: string[] = []
	for (const size of [8, 16, 32, 64]) {
		const t = unsigned(size)
		const body = (address = EA): Record<string, string> => ({
			RR: `${setRegister('L.REC_RM', size, register('L.REC_REG', size))} ${NEXT}`,
			RI: `${setRegister('L.REC_RM', size, `load<${t}>(ip, L.REC_IMM)`)} ${NEXT}`,
			RM: `${read(size, address)} ${setRegister('L.REC_REG', size, `load<${t}>(h)`)} ${NEXT}`,
			MR: `${write(size, address)} store<${t}>(h, ${register('L.REC_REG', size)}); ${COMMIT} ${NEXT}`,
			MI: `${write(size, address)} store<${t}>(h, load<${t}>(ip, L.REC_IMM)); ${COMMIT} ${NEXT}`,
		})
		for (const form of FORMS) {
			const name = `F_MOV_${form}${size}`
			out.push(`      case OP_${name}: { ${body()[form]} }`)
			if (PLAIN.includes(name)) out.push(`      case OP_${plain(name)}: { ${body(PLAIN_EA)[form]} }`)
		}
	}
	for (const [name, from] of [
		['MOVZX_B', 'u8'],
		['MOVZX_W', 'u16'],
		['MOVSX_B', 'i8'],
		['MOVSX_W', 'i16'],
	] as const) {
		for (const size of [32, 64]) {
			const cast = from.startsWith('i') ? (size === 32 ? '<u64><u32><i32>' : '<u64><i64>') : '<u64>'
			const load = (address: string) =>
				`${read(Number(from.slice(1)), address)} store<u64>(r + load<u8>(ip, L.REC_REG), ${cast}load<${from}>(h)); ${NEXT}`
			const memory = `F_${name}_M${size}`
			out.push(
				`      case OP_F_${name}_R${size}: { store<u64>(r + load<u8>(ip, L.REC_REG), ${cast}load<${from}>(r + load<u8>(ip, L.REC_RM))); ${NEXT} }`,
				`      case OP_${memory}: { ${load(EA)} }`,
			)
			if (PLAIN.includes(memory)) out.push(`      case OP_${plain(memory)}: { ${load(PLAIN_EA)} }`)
		}
	}
	return out.join('\n')
}

const CARRY = '((kind & 3) == CC_SUB ? <u64>(a < b) : (kind & 3) == CC_RES ? b & 1 : (kind & 3) == CC_ADD ? <u64>(a + b < a) : a & 1)'

function carryCases(): string {
	const out: string[] = []
	for (const name of ['ADC', 'SBB']) {
		for (const size of [32, 64]) {
			const t = unsigned(size)
			const carryOut = name === 'ADC' ? `(z < x || (c && z == x) ? <u64>1 : 0)` : `(x < y || (c && x == y) ? <u64>1 : 0)`
			const overflow = name === 'ADC' ? `((x ^ z) & (y ^ z))` : `((x ^ y) & (x ^ z))`
			const tail = (put: string) => `const c = <${t}>${CARRY}; const z: ${t} = ${name === 'ADC' ? 'x + y + c' : 'x - y - c'}; ${put}
        b = ${carryOut} | (<u64>(${overflow} >> ${size - 1}) << 11) | <u64>((x ^ y ^ z) & 0x10); kind = CC_RES | ${bits(size) << 8}; a = <u64>z << ${bits(size)}; ${NEXT}`
			const put = setRegister('L.REC_RM', size, 'z')
			out.push(
				`      case OP_F_${name}_RR${size}: { const x = ${register('L.REC_RM', size)}; const y = ${register('L.REC_REG', size)}; ${tail(put)} }`,
				`      case OP_F_${name}_RI${size}: { const x = ${register('L.REC_RM', size)}; const y = load<${t}>(ip, L.REC_IMM); ${tail(put)} }`,
				`      case OP_F_${name}_RM${size}: { ${read(size)} const x = ${register('L.REC_REG', size)}; const y = load<${t}>(h); ${tail(setRegister('L.REC_REG', size, 'z'))} }`,
			)
		}
	}
	return out.join('\n')
}

function unaryCases(): string {
	const out: string[] = []
	for (const size of [32, 64]) {
		const t = unsigned(size)
		const top = size === 32 ? '0x80000000' : '0x8000000000000000'
		const max = size === 32 ? '0x7fffffff' : '0x7fffffffffffffff'
		const forms = (name: string, body: (put: string) => string) => {
			out.push(
				`      case OP_F_${name}_R${size}: { const x = ${register('L.REC_RM', size)}; ${body(setRegister('L.REC_RM', size, 'z'))} }`,
				`      case OP_F_${name}_M${size}: { ${write(size)} const x = load<${t}>(h); ${body(`store<${t}>(h, z); ${COMMIT}`)} }`,
			)
		}
		forms(
			'INC',
			(put) => `const z: ${t} = x + 1; ${put}
        b = ${CARRY} | (z == ${top} ? <u64>0x800 : 0) | ((z & 15) == 0 ? <u64>0x10 : 0); kind = CC_RES | ${bits(size) << 8}; a = <u64>z << ${bits(size)}; ${NEXT}`,
		)
		forms(
			'DEC',
			(put) => `const z: ${t} = x - 1; ${put}
        b = ${CARRY} | (z == ${max} ? <u64>0x800 : 0) | ((x & 15) == 0 ? <u64>0x10 : 0); kind = CC_RES | ${bits(size) << 8}; a = <u64>z << ${bits(size)}; ${NEXT}`,
		)
		forms('NEG', (put) => `const z: ${t} = 0 - x; ${put} kind = CC_SUB | ${bits(size) << 8}; a = 0; b = <u64>x << ${bits(size)}; ${NEXT}`)
		forms('NOT', (put) => `const z: ${t} = ~x; ${put} ${NEXT}`)
	}
	return out.join('\n')
}

function shiftCases(): string {
	const out: string[] = []
	for (const size of [32, 64]) {
		const t = unsigned(size)
		const top = size - 1
		const results: Record<string, string> = {
			SHL: `const z: ${t} = x << c; const cf = <u64>((x >> (${size} - c)) & 1); const ov = (<u64>(z >> ${top}) ^ cf) << 11;`,
			SHR: `const z: ${t} = x >> c; const cf = <u64>((x >> (c - 1)) & 1); const ov = <u64>(x >> ${top}) << 11;`,
			SAR: `const z: ${t} = <${t}>(<i${size}>x >> c); const cf = <u64>((<i${size}>x >> (c - 1)) & 1); const ov: u64 = 0;`,
		}
		for (const name of SHIFTS) {
			if (name === 'ROL' || name === 'ROR') {
				// Rotates change CF and OF only.
				const rotated = name === 'ROL' ? `rotl<${t}>(x, c)` : `rotr<${t}>(x, c)`
				const cf = name === 'ROL' ? '<u32>(z & 1)' : `<u32>(z >> ${top})`
				const overflow =
					name === 'ROL' ? `((<u32>(z >> ${top}) ^ <u32>(z & 1)) << 11)` : `(<u32>((z >> ${top}) ^ (z >> ${top - 1})) & 1) << 11`
				out.push(`      case OP_F_${name}_I${size}: { const x = ${register('L.REC_RM', size)}; const c = load<${t}>(ip, L.REC_IMM); const z: ${t} = ${rotated};
        ${setRegister('L.REC_RM', size, 'z')} setLazy(kind, a, b); a = <u64>((statusFlags() & ~(CF | OF)) | ${cf} | ${overflow}); b = 0; kind = CC_FLAGS; ${NEXT} }`)
				continue
			}
			const tail = `${setRegister('L.REC_RM', size, 'z')} kind = CC_RES | ${bits(size) << 8}; a = <u64>z << ${bits(size)}; b = cf | ov; ${NEXT}`
			out.push(
				`      case OP_F_${name}_I${size}: { const x = ${register('L.REC_RM', size)}; const c = load<${t}>(ip, L.REC_IMM); ${results[name]} ${tail} }`,
				`      case OP_F_${name}_C${size}: { const x = ${register('L.REC_RM', size)}; const c = <${t}>load<u8>(r + 8) & ${size - 1}; if (!c) { ${size === 32 ? setRegister('L.REC_RM', 32, 'x') : ''} ${NEXT} } ${results[name]} ${tail} }`,
			)
		}
	}
	return out.join('\n')
}

function multiplyCases(): string {
	const out: string[] = []
	// CF = OF = the product does not fit; the others are undefined and kept from the result.
	const product32 = (x: string, y: string, field: string) =>
		`const p: i64 = <i64><i32>${x} * <i64><i32>${y}; store<u64>(r + load<u8>(ip, ${field}), <u64><u32>p); kind = CC_RES | ${32 << 8}; a = <u64>p << 32; b = p != <i64><i32>p ? 0x801 : 0; ${NEXT}`
	const product64 = (x: string, y: string, field: string) =>
		`const x = <i64>${x}; const y = <i64>${y}; const p = x * y; store<i64>(r + load<u8>(ip, ${field}), p); kind = CC_RES; a = <u64>p; b = productOverflows(x, y, p) ? 0x801 : 0; ${NEXT}`
	out.push(
		`      case OP_F_IMUL_R32: { ${product32(register('L.REC_REG', 32), register('L.REC_RM', 32), 'L.REC_REG')} }`,
		`      case OP_F_IMUL_M32: { ${read(32)} ${product32(register('L.REC_REG', 32), 'load<u32>(h)', 'L.REC_REG')} }`,
		`      case OP_F_IMUL3_R32: { ${product32(register('L.REC_RM', 32), 'load<u32>(ip, L.REC_IMM)', 'L.REC_REG')} }`,
		`      case OP_F_IMUL_R64: { ${product64(register('L.REC_REG', 64), register('L.REC_RM', 64), 'L.REC_REG')} }`,
		`      case OP_F_IMUL_M64: { ${read(64)} ${product64(register('L.REC_REG', 64), 'load<u64>(h)', 'L.REC_REG')} }`,
		`      case OP_F_IMUL3_R64: { ${product64(register('L.REC_RM', 64), 'load<u64>(ip, L.REC_IMM)', 'L.REC_REG')} }`,
	)
	return out.join('\n')
}

function miscCases(): string {
	const bt = (size: number, count: string) =>
		`const bit = <u64>((${register('L.REC_RM', size)} >> ${count}) & 1); setLazy(kind, a, b); a = <u64>(statusFlags() & ~CF) | bit; b = 0; kind = CC_FLAGS; ${NEXT}`
	const holds = 'setLazy(kind, a, b); const yes = condition(load<u8>(ip, L.REC_CC));'
	return [
		`      case OP_F_MOVSXD_R: { store<u64>(r + load<u8>(ip, L.REC_REG), <u64><i64>load<i32>(r + load<u8>(ip, L.REC_RM))); ${NEXT} }`,
		`      case OP_F_MOVSXD_M: { ${read(32)} store<u64>(r + load<u8>(ip, L.REC_REG), <u64><i64>load<i32>(h)); ${NEXT} }`,
		`      case OP_F_LEA32: { store<u64>(r + load<u8>(ip, L.REC_REG), <u64><u32>${EA}); ${NEXT} }`,
		`      case OP_F_LEA64: { store<u64>(r + load<u8>(ip, L.REC_REG), ${EA}); ${NEXT} }`,
		`      case OP_${plain('F_LEA64')}: { store<u64>(r + load<u8>(ip, L.REC_REG), ${PLAIN_EA}); ${NEXT} }`,
		`      case OP_F_BT_I32: { ${bt(32, 'load<u32>(ip, L.REC_IMM)')} }`,
		`      case OP_F_BT_I64: { ${bt(64, 'load<u64>(ip, L.REC_IMM)')} }`,
		`      case OP_F_BT_R32: { ${bt(32, `(${register('L.REC_REG', 32)} & 31)`)} }`,
		`      case OP_F_BT_R64: { ${bt(64, `(${register('L.REC_REG', 64)} & 63)`)} }`,
		`      case OP_F_CDQE: { store<u64>(r, <u64><i64>load<i32>(r)); ${NEXT} }`,
		`      case OP_F_CDQ: { store<u64>(r + 16, <u64><u32>(load<i32>(r) >> 31)); ${NEXT} }`,
		`      case OP_F_CQO: { store<i64>(r + 16, load<i64>(r) >> 63); ${NEXT} }`,
		// A 32-bit CMOVcc clears the upper half even when the condition is false.
		`      case OP_F_CMOV_R32: { ${holds} store<u64>(r + load<u8>(ip, L.REC_REG), <u64>load<u32>(r + load<u8>(ip + (yes ? L.REC_RM : L.REC_REG)))); ${NEXT} }`,
		`      case OP_F_CMOV_R64: { ${holds} if (yes) store<u64>(r + load<u8>(ip, L.REC_REG), ${register('L.REC_RM', 64)}); ${NEXT} }`,
		`      case OP_F_CMOV_M32: { ${read(32)} ${holds} store<u64>(r + load<u8>(ip, L.REC_REG), yes ? <u64>load<u32>(h) : <u64>${register('L.REC_REG', 32)}); ${NEXT} }`,
		`      case OP_F_CMOV_M64: { ${read(64)} ${holds} if (yes) store<u64>(r + load<u8>(ip, L.REC_REG), load<u64>(h)); ${NEXT} }`,
		`      case OP_F_SETCC_R: { ${holds} store<u8>(r + load<u8>(ip, L.REC_RM), yes ? 1 : 0); ${NEXT} }`,
		`      case OP_F_XCHG_R64: { const x = ${register('L.REC_RM', 64)}; store<u64>(r + load<u8>(ip, L.REC_RM), ${register('L.REC_REG', 64)}); store<u64>(r + load<u8>(ip, L.REC_REG), x); ${NEXT} }`,
		`      case OP_F_NOP: { ${NEXT} }`,
	].join('\n')
}

const CHARGE = 'budget -= <i32>((ip - start) / L.REC_SIZE) + 1;'
/** Goes to record n. */
const ARRIVE = `${CHARGE} ip = n; start = n; if (budget <= 0) { setExit(L.EXIT_BUDGET); break; } continue;`
/** The same behind a jump, which ends a run only where it goes back: what is sampled is where functions, loops and what is behind calls begin. */
const ARRIVE_FORWARD = `${CHARGE}
        if (budget <= 0 && (load<i64>(ip, L.REC_IMM) < <i64>load<u16>(ip, L.REC_OFF) + <i64>load<u8>(ip, L.REC_LEN) || budget <= LATE)) { ip = n; start = n; setExit(L.EXIT_BUDGET); break; }
        ip = n; start = n; continue;`
/** Goes to the linear address t through the jump cache. */
const go = (arrive: string) => `slot = jumpSlot(t); n = isJump(slot, t) ? <usize>load<u32>(slot, JUMP_RECORD) : 0;
        if (n) store<u64>(r + L.SLOT_PAGE, t & PAGE); else { n = enter(t); if (!n) { leave = true; break; } } ${arrive}`
const GO = go(ARRIVE)
/** Direct branch: by the link when the target is in this page. */
const branch = (arrive: string) => `n = <usize>load<u32>(ip, L.REC_LINK);
        if (!n) {
          const offset = load<u64>(ip, L.REC_IMM);
          const t = load<u64>(r + L.SLOT_PAGE) + offset;
          if (offset >= 4096) { ${go(arrive)} }
          const epoch = arenaEpoch;
          n = enter(t); if (!n) { leave = true; break; }
          if (epoch == arenaEpoch) store<u32>(ip, <u32>n, L.REC_LINK);
        }
        ${arrive}`
const JUMP = branch(ARRIVE_FORWARD)
const PUSH = (value: string) =>
	`const v: u64 = ${value}; ${write(64, '(load<u64>(r + 32) - 8)')} store<u64>(h, v); ${COMMIT} store<u64>(r + 32, va);`
/** A near branch to a non-canonical address faults at the branch, before anything changes. */
const CHECK = 'if (<u64>(<i64>(t << 16) >> 16) != t) { raise(13, 0); break; }'
const RETURN_ADDRESS = 'load<u64>(r + L.SLOT_PAGE) + <u64>load<u16>(ip, L.REC_OFF) + <u64>load<u8>(ip, L.REC_LEN)'

/** Of x and y, by condition code. */
const COMPARED: Readonly<Record<number, (signed: string) => string>> = {
	2: () => 'x < y',
	3: () => 'x >= y',
	4: () => 'x == y',
	5: () => 'x != y',
	6: () => 'x <= y',
	7: () => 'x > y',
	12: (signed) => `<${signed}>x < <${signed}>y`,
	13: (signed) => `<${signed}>x >= <${signed}>y`,
	14: (signed) => `<${signed}>x <= <${signed}>y`,
	15: (signed) => `<${signed}>x > <${signed}>y`,
}
/** Of z, the result of a TEST. */
const TESTED: Readonly<Record<number, (signed: string) => string>> = {
	4: () => 'z == 0',
	5: () => 'z != 0',
	8: (signed) => `<${signed}>z < 0`,
	9: (signed) => `<${signed}>z >= 0`,
	14: (signed) => `<${signed}>z <= 0`,
	15: (signed) => `<${signed}>z > 0`,
}

/** A comparison with the JCC behind it, which has a record of its own: from there on things are as if it had been come to by itself. */
function fusedCases(): string {
	return fusedPairs
		.map(([comparison, condition]) => {
			const [, name, form, bits] = /^F_(CMP|TEST)_(..)(\d+)$/.exec(comparison)!
			const size = Number(bits)
			const t = unsigned(size)
			const x = form === 'RR' || form === 'RI' ? register('L.REC_RM', size) : form === 'RM' ? register('L.REC_REG', size) : `load<${t}>(h)`
			const y = form!.endsWith('I') ? `load<${t}>(ip, L.REC_IMM)` : form === 'RM' ? `load<${t}>(h)` : register('L.REC_REG', size)
			const isTest = name === 'TEST'
			const flags = isTest ? `const z = <${t}>(x & y); ${setFlags('CC_RES', size, 'z', '0')}` : setFlags('CC_SUB', size, 'x', 'y')
			const test = (isTest ? TESTED : COMPARED)[condition]!(`i${size}`)
			return `      case OP_${fused(comparison, condition)}: { ${form!.includes('M') ? read(size) : ''} const x: ${t} = ${x}; const y: ${t} = ${y}; ${flags}
        ip += L.REC_SIZE; if (!(${test})) { ${NEXT} } ${JUMP} }`
		})
		.join('\n')
}

function branchCases(): string {
	const sub: Record<number, string> = {
		0: '<i64>((a ^ b) & (a ^ (a - b))) < 0',
		1: 'a < b',
		2: 'a == b',
		3: 'a <= b',
		4: '<i64>(a - b) < 0',
		6: '<i64>a < <i64>b',
		7: '<i64>a <= <i64>b',
	}
	const res: Record<number, string> = {
		0: '(b & 0x800) != 0',
		1: '(b & 1) != 0',
		2: 'a == 0',
		3: '(b & 1) != 0 || a == 0',
		4: '<i64>a < 0',
		6: '(<i64>a < 0) != ((b & 0x800) != 0)',
		7: 'a == 0 || (<i64>a < 0) != ((b & 0x800) != 0)',
	}
	const out: string[] = []
	for (let cc = 0; cc < 16; cc++) {
		const slow = `slowCondition(kind, a, b, ${cc})`
		const not = cc & 1 ? '!' : ''
		const test =
			cc >> 1 === 5 ? slow : `(kind & 3) == CC_SUB ? ${not}(${sub[cc >> 1]}) : (kind & 3) == CC_RES ? ${not}(${res[cc >> 1]}) : ${slow}`
		out.push(`      case OP_F_J${cc}: { if (!(${test})) { ${NEXT} } ${JUMP} }`)
	}
	out.push(
		`      case OP_F_JMP: { ${JUMP} }`,
		`      case OP_F_CALL: { ${PUSH(RETURN_ADDRESS)} ${branch(ARRIVE)} }`,
		`      case OP_F_RET: { ${read(64, 'load<u64>(r + 32)')} const t = load<u64>(h); ${CHECK} store<u64>(r + 32, va + 8); ${GO} }`,
		`      case OP_F_JMP_R: { const t = ${register('L.REC_RM', 64)}; ${CHECK} ${GO} }`,
		`      case OP_F_JMP_M: { ${read(64)} const t = load<u64>(h); ${CHECK} ${GO} }`,
		`      case OP_F_CALL_R: { const t = ${register('L.REC_RM', 64)}; ${CHECK} ${PUSH(RETURN_ADDRESS)} ${GO} }`,
		`      case OP_F_CALL_M: { ${read(64)} const t = load<u64>(h); ${CHECK} ${PUSH(RETURN_ADDRESS)} ${GO} }`,
		`      case OP_F_PUSH_R: { ${PUSH(register('L.REC_RM', 64))} ${NEXT} }`,
		`      case OP_F_PUSH_I: { ${PUSH('load<u64>(ip, L.REC_IMM)')} ${NEXT} }`,
		`      case OP_F_PUSH_M: { ${read(64)} ${PUSH('load<u64>(h)')} ${NEXT} }`,
		`      case OP_F_POP_R: { ${read(64, 'load<u64>(r + 32)')} const v = load<u64>(h); store<u64>(r + 32, va + 8); store<u64>(r + load<u8>(ip, L.REC_RM), v); ${NEXT} }`,
		`      case OP_F_LEAVE: { ${read(64, 'load<u64>(r + 40)')} store<u64>(r + 40, load<u64>(h)); store<u64>(r + 32, va + 8); ${NEXT} }`,
	)
	out.push(`      case OP_F_REGION: {
        keepFlags(kind, a, b);
        ${CHARGE}
        let outcome: i32 = JUMP;
        // Regions go on in one another (regions.ts). One that comes back has found none in the jump cache.
        do {
          if (load<u32>(r + L.CPU_KEPT_KIND) == <u32>K.KEPT_NONE) keepFlags(ccKind, ccA, ccB);
          const before = budget;
          budget -= L.REGION_CHARGE;
          const region = load<u32>(ip, L.REC_LINK);
          store<u32>(r + L.CPU_REGION_LAST, region);
          budget = call_indirect<i32>(region, budget);
          S.count(L.CNT_REGIONS);
          store<u64>(r + L.CNT_REGION_INSTRUCTIONS, load<u64>(r + L.CNT_REGION_INSTRUCTIONS) + <u64>(before - budget));
          outcome = load<i32>(r + L.CPU_REGION_STATUS);
          S.count(L.CNT_REGION_ENDS + outcome * 8);
          if (outcome != JUMP) break;
          const t = load<u64>(r + L.CPU_RIP);
          // It may have gone to compatibility code, which the jump cache has under another tag and no region has.
          n = enter(t);
          if (!n) break;
          ip = n;
          if (load<u16>(ip) != <u16>OP_F_REGION) break;
          addJump(t, ip);
        } while (budget > 0);
        settleKept();
        kind = ccKind; a = ccA; b = ccB;
        // A region may have switched rings.
        tR = S.tlbRead;
        tW = S.tlbWrite;
        start = ip;
        if (outcome == JUMP) {
          if (n && budget > 0 && !isSampled()) continue;
          if (n) setExit(L.EXIT_BUDGET);
          else leave = true;
          break;
        }
        ip = <usize>load<u32>(r + L.CPU_REGION_RECORD);
        start = ip;
        leave = outcome == LEAVE;
        break;
      }`)
	return out.join('\n')
}

/** The text of src/x86/core/generated/interpreter.ts. `fast` are the operations to import. */
export function interpreterSource(fast: readonly string[]): string {
	return `// Generated by src/x86/codegen/interpreter.ts.
import * as L from "../layout";
import * as K from "../flag_kinds";
import * as S from "../state";
import { exitReason, setExit, raise, frameBase } from "../state";
import { readSlow, writeSlow, commitWrite, FAULT } from "../mmu";
import { enter } from "../trace";
import { addJump, arenaEpoch, isJump, jumpSlot, JUMP_RECORD } from "../cache";
import { execute, refineNonCanonical, refinePageFault, NEXT, LEAVE, JUMP, AGAIN, MOVED } from "../execute";
import { productOverflows } from "../product";
import { ccKind, ccA, ccB, keepFlags, setLazy, settleKept, statusFlags, condition, CC_FLAGS, CC_SUB, CC_ADD, CC_RES, CF, OF } from "../flags";
import { ${fast.map((name) => `OP_${name}`).join(', ')} } from "./ops";

const PAGE: u64 = ~<u64>0xfff;
/** One in so many ways into code that is not translated, out of translated code or by a ring switch, ends a run, so that the place where it went on is sampled: budgets end elsewhere when it is short. */
const EXITS_SAMPLED: i32 = 509;
let exitsToSample: i32 = EXITS_SAMPLED;

/** Whether the present one of these ways ends a run. */
export function isSampled(): bool {
  if (--exitsToSample) return false;
  exitsToSample = EXITS_SAMPLED;
  return true;
}

/** A budget that is overdrawn by so much ends the run wherever it is. */
export const LATE: i32 = -1024;
const TLB_MASK: usize = (S.TLB_ENTRIES - 1) << 4;

function slowCondition(kind: u32, a: u64, b: u64, cc: u32): bool {
  setLazy(kind, a, b);
  return condition(cc);
}

/** Budget left when the loop was left. */
export let budgetLeft: i32 = 0;

/** Runs from record \`ip\` on. CPU_RIP and the lazy flags are set when it returns; the result is in exitReason. */
export function interpret(ip: usize, budget: i32): void {
  const r = S.cpu;
  const fb = frameBase;
  let tR = S.tlbRead;
  let tW = S.tlbWrite;
  let kind = ccKind;
  let a = ccA;
  let b = ccB;
  let start = ip;
  let leave = false;
  let va: u64 = 0;
  let slot: usize = 0;
  let h: usize = 0;
  let n: usize = 0;
  while (true) {
    switch (<i32>load<u16>(ip)) {
${aluCases()}
${movCases()}
${carryCases()}
${unaryCases()}
${shiftCases()}
${multiplyCases()}
${miscCases()}
${branchCases()}
${fusedCases()}
      case 0:
      default: {
        setLazy(kind, a, b);
        const outcome = execute(ip);
        kind = ccKind; a = ccA; b = ccB;
        if (outcome == NEXT) { ${NEXT} }
        if (outcome == JUMP) { n = enter(load<u64>(r + L.CPU_RIP)); if (!n) { leave = true; break; } ${ARRIVE} }
        if (outcome == AGAIN) { budget -= 1; if (budget <= 0) { setExit(L.EXIT_BUDGET); break; } continue; }
        if (outcome == MOVED) { ${CHARGE} ip = S.scratch; start = ip; continue; }
        leave = outcome == LEAVE;
      }
    }
    break;
  }
  setLazy(kind, a, b);
  budgetLeft = budget - <i32>((ip - start) / L.REC_SIZE);
  if (!leave) store<u64>(r + L.CPU_RIP, load<u64>(r + L.SLOT_PAGE) + <u64>load<u16>(ip, L.REC_OFF));
  store<u32>(r + L.CPU_INSN_LENGTH, <u32>load<u8>(ip, L.REC_LEN));
  if (S.nonCanonical) refineNonCanonical(ip);
  else if (exitReason == L.EXIT_EXCEPTION && !leave) refinePageFault(ip);
}
`
}

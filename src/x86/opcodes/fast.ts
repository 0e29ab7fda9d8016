// Specialised operations of the interpreter's main loop: the commonest instructions, by operand form and size. They are numbered before all
// others, without gaps, so that the loop's switch becomes one jump table. The decoder's specialize() chooses them; what it does not choose runs
// through the general executors, which know every form.
//
// Forms: RR reg <- reg, RI reg <- immediate, RM reg <- memory, MR memory <- reg, MI memory <- immediate.

export const FORMS = ['RR', 'RI', 'RM', 'MR', 'MI'] as const
export const ALU = ['ADD', 'OR', 'AND', 'SUB', 'XOR', 'CMP', 'TEST'] as const
export const CARRY_ALU = ['ADC', 'SBB'] as const
export const SHIFTS = ['SHL', 'SHR', 'SAR', 'ROL', 'ROR'] as const

// Conditions as JCC encodes them.
const EQUAL = [4, 5]
const UNSIGNED = [2, 3, 6, 7]
const SIGNED = [12, 13, 14, 15]
const SIGN = [8, 9, 14, 15]

/** Comparisons that are one operation with a JCC of these conditions behind them, named by fused(). They are nine of ten in compiled code. */
const FUSED: readonly (readonly [comparison: string, conditions: readonly number[]])[] = [
	...['TEST_RR8', 'TEST_RI8', 'TEST_MI8', 'CMP_RI16'].map((name) => [`F_${name}`, EQUAL] as const),
	...['TEST_RR32', 'TEST_RR64'].map((name) => [`F_${name}`, [...EQUAL, ...SIGN]] as const),
	...['RR32', 'RR64', 'RI32', 'RI64'].map((form) => [`F_CMP_${form}`, [...EQUAL, ...UNSIGNED, ...SIGNED]] as const),
	['F_CMP_RI8', [...EQUAL, 6, 7]],
	...['MI8', 'MI16', 'MI32', 'MI64', 'RM32', 'RM64', 'MR32', 'MR64'].map((form) => [`F_CMP_${form}`, EQUAL] as const),
]
export const fusedPairs: readonly (readonly [comparison: string, condition: number])[] = FUSED.flatMap(([comparison, conditions]) =>
	conditions.map((condition) => [comparison, condition] as const),
)
export const fused = (comparison: string, condition: number): string => `${comparison}_J${condition}`

/** Operations that have another form, named by plain(), for memory operands of a base and a displacement only. */
export const PLAIN = [
	...['RM32', 'RM64', 'MR8', 'MR32', 'MR64', 'MI32', 'MI64'].map((form) => `F_MOV_${form}`),
	'F_MOVZX_B_M32',
	'F_MOVZX_W_M32',
	'F_LEA64',
]
export const plain = (operation: string): string => `${operation}_B`

/** Grids are laid out so that specialize() reaches an operation by arithmetic: first[name] + size * forms + form. */
export const fastOperations: readonly string[] = [
	...ALU.flatMap((name) => [8, 16, 32, 64].flatMap((size) => FORMS.map((form) => `F_${name}_${form}${size}`))),
	...[8, 16, 32, 64].flatMap((size) => FORMS.map((form) => `F_MOV_${form}${size}`)),
	...CARRY_ALU.flatMap((name) => [32, 64].flatMap((size) => ['RR', 'RI', 'RM'].map((form) => `F_${name}_${form}${size}`))),
	...['MOVZX_B', 'MOVZX_W', 'MOVSX_B', 'MOVSX_W'].flatMap((name) =>
		[32, 64].flatMap((size) => [`F_${name}_R${size}`, `F_${name}_M${size}`]),
	),
	'F_MOVSXD_R',
	'F_MOVSXD_M',
	'F_LEA32',
	'F_LEA64',
	...['INC', 'DEC', 'NEG', 'NOT'].flatMap((name) => [32, 64].flatMap((size) => [`F_${name}_R${size}`, `F_${name}_M${size}`])),
	...SHIFTS.flatMap((name) => [`F_${name}_I32`, `F_${name}_I64`]),
	...['SHL', 'SHR', 'SAR'].flatMap((name) => [`F_${name}_C32`, `F_${name}_C64`]),
	...['32', '64'].flatMap((size) => [`F_IMUL_R${size}`, `F_IMUL_M${size}`, `F_IMUL3_R${size}`]),
	...['32', '64'].map((size) => `F_BT_I${size}`),
	'F_BT_R64',
	'F_BT_R32',
	'F_CDQE',
	'F_CDQ',
	'F_CQO',
	...['32', '64'].flatMap((size) => [`F_CMOV_R${size}`, `F_CMOV_M${size}`]),
	'F_SETCC_R',
	'F_XCHG_R64',
	'F_NOP',
	// A translated region: REC_LINK is its index in the table of regions.
	'F_REGION',
	'F_PUSH_R',
	'F_PUSH_I',
	'F_PUSH_M',
	'F_POP_R',
	'F_LEAVE',
	'F_JMP',
	'F_CALL',
	'F_RET',
	'F_JMP_R',
	'F_JMP_M',
	'F_CALL_R',
	'F_CALL_M',
	...Array.from({ length: 16 }, (_, cc) => `F_J${cc}`),
	...PLAIN.map(plain),
	...fusedPairs.map(([comparison, condition]) => fused(comparison, condition)),
]

import type { Command } from './command.ts'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/** What a command's words may be, as its usage names them. */
type Words = 'domains' | 'files' | 'commands' | 'nothing'

function wordsOf({ name, args }: Command): Words {
	if (name === 'help') return 'commands'
	if (/<(ConfigFile|CheckpointFile|policyfile|policy)>|^<ConfigFile>/.test(args)) return 'files'
	return /Domain|<DomId>/.test(args) ? 'domains' : 'nothing'
}

const optionsOf = ({ options }: Command): string[] =>
	options.flatMap(({ short, long }) => [...(short ? [`-${short}`] : []), ...(long ? [`--${long}`] : [])])

/** A script for a shell that completes subcommands, options, domains' names and files. `program` tells domains' names with --names. */
export function completionScript(shell: Shell, program: string, commands: readonly Command[]): string {
	return { bash, zsh, fish }[shell](program, commands)
}

const BASH_WORDS: Readonly<Record<Words, (program: string, names: string) => string>> = {
	domains: (program) => `COMPREPLY=($(compgen -W "$(${program} --names 2>/dev/null)" -- "$cur"))`,
	files: () => 'COMPREPLY=($(compgen -f -- "$cur"))',
	commands: (_program, names) => `COMPREPLY=($(compgen -W "${names}" -- "$cur"))`,
	nothing: () => ':',
}

function bash(program: string, commands: readonly Command[]): string {
	const names = commands.map(({ name }) => name).join(' ')
	const cases = commands.map((command) => {
		const options = optionsOf(command).join(' ')
		const withOptions = options === '' ? '' : `if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "${options}" -- "$cur")); return; fi; `
		return `\t${command.name}) ${withOptions}${BASH_WORDS[wordsOf(command)](program, names)} ;;`
	})
	return `# ${program} completion for bash: eval "$(${program} --completion bash)"
_${program}() {
	local cur=\${COMP_WORDS[COMP_CWORD]}
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "${names}" -- "$cur"))
		return
	fi
	case \${COMP_WORDS[1]} in
${cases.join('\n')}
	esac
}
complete -o filenames -F _${program} ${program}
`
}

const ZSH_WORDS: Readonly<Record<Words, (program: string) => string>> = {
	domains: (program) => `compadd -- \${(f)"$(${program} --names 2>/dev/null)"}`,
	files: () => '_files',
	commands: (program) => `_describe subcommand _${program}_commands`,
	nothing: () => ':',
}

const zshQuoted = (text: string) => `'${text.replaceAll("'", "'\\''").replaceAll(':', '\\:')}'`

function zsh(program: string, commands: readonly Command[]): string {
	const described = commands.map(({ name, help }) => `\t${zshQuoted(name)}:${zshQuoted(help)}`.replace("':'", ':'))
	const cases = commands.map((command) => {
		const options = optionsOf(command).join(' ')
		const withOptions = options === '' ? '' : `[[ $PREFIX == -* ]] && { compadd -- ${options}; return }; `
		return `\t${command.name}) ${withOptions}${ZSH_WORDS[wordsOf(command)](program)} ;;`
	})
	return `#compdef ${program}
# ${program} completion for zsh: eval "$(${program} --completion zsh)"
_${program}_commands=(
${described.join('\n')}
)
_${program}() {
	if ((CURRENT == 2)); then
		_describe subcommand _${program}_commands
		return
	fi
	case $words[2] in
${cases.join('\n')}
	esac
}
compdef _${program} ${program}
`
}

const fishQuoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`

function fish(program: string, commands: readonly Command[]): string {
	const names = commands.map(({ name }) => name).join(' ')
	const lines = commands.flatMap((command) => {
		const inside = `-n '__fish_seen_subcommand_from ${command.name}'`
		const words = {
			domains: [`complete -c ${program} ${inside} -f -a '(${program} --names 2>/dev/null)'`],
			files: [`complete -c ${program} ${inside} -F`],
			commands: [`complete -c ${program} ${inside} -f -a '${names}'`],
			nothing: [`complete -c ${program} ${inside} -f`],
		}[wordsOf(command)]
		const options = command.options.map(({ short, long, value, help }) =>
			[
				`complete -c ${program} ${inside}`,
				short === '' ? '' : `-s ${short}`,
				long === '' ? '' : `-l ${long}`,
				value === undefined ? '' : '-r',
				`-d ${fishQuoted(help)}`,
			]
				.filter((part) => part !== '')
				.join(' '),
		)
		return [`complete -c ${program} -n __fish_use_subcommand -f -a ${command.name} -d ${fishQuoted(command.help)}`, ...words, ...options]
	})
	return `# ${program} completion for fish: ${program} --completion fish | source\n${lines.join('\n')}\n`
}

# Sourced by the programs in bin/: runs $program, a source file below the root of the clone or installed package that $self is in, with the words of the command line.
# The pinned Node of node_modules comes first: it is known to be new enough.
name=$(basename "$0")
root=$(dirname "$(dirname "$self")")

node=
directory=$root
while [ -z "$node" ] && [ "$directory" != / ]; do
	if [ -x "$directory/node_modules/node/bin/node" ]; then node=$directory/node_modules/node/bin/node; fi
	installed=${installed:-$([ -d "$directory/node_modules" ] && echo yes)}
	directory=$(dirname "$directory")
done
if [ -z "$installed" ]; then
	echo "$name: its dependencies are not installed: run 'npm start' (or 'npm install') in $root first" >&2
	exit 1
fi
if [ -z "$node" ]; then
	if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 24 ? 0 : 1)' 2>/dev/null; then
		echo "$name: it needs Node 24 or newer: run 'npm start' (or 'npm install') in $root first, which brings one" >&2
		exit 1
	fi
	node=node
fi
# The type stripper is slower to start than a program: what it made is kept (src/platform/node/cache_directory.ts).
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xenotype/compiled}"
case $root in
*/node_modules/*) exec "$node" --disable-warning=ExperimentalWarning "--import=file://$root/scripts/strip_types.mjs" "$root/$program" "$@" ;;
*) exec "$node" --disable-warning=ExperimentalWarning "$root/$program" "$@" ;;
esac

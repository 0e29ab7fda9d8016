/** A module beside the caller's, by name: TypeScript in a clone, JavaScript in an installed package. `caller` is its import.meta.url. */
export function besideModule(name: string, caller: string): URL {
	return new URL(`./${name}${caller.endsWith('.ts') ? '.ts' : '.js'}`, caller)
}

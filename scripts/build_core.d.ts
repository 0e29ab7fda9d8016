/** Returns the path of the compiled core. */
export declare function buildCore(report?: (line: string) => void): Promise<string>;

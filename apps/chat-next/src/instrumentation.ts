/** Runs once when the server starts, in each of its runtimes. */
export async function register(): Promise<void> {
  const { registerDrain } = await import("@sluice/next");
  registerDrain();
}

// #region
// instrumentation.ts
export async function register(): Promise<void> {
  const { registerDrain } = await import("@sluice/next");
  registerDrain({ deadlineMs: 8000 });
}
// #endregion

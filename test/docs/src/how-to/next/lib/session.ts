/** What the page takes for granted: who is signed in. */
export async function userOf(cookie: string | undefined): Promise<{ readonly id: string }> {
  return Promise.resolve({ id: cookie ?? "" });
}

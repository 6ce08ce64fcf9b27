/** What is asked of the worker; `id` comes back with the answer. */
export type PgliteRequest =
  | {
      readonly id: number;
      readonly ask: "query";
      readonly text: string;
      readonly parameters: readonly unknown[];
    }
  | { readonly id: number; readonly ask: "exec"; readonly script: string }
  /** Messages of PostgreSQL's protocol. */
  | { readonly id: number; readonly ask: "raw"; readonly messages: Uint8Array }
  | { readonly id: number; readonly ask: "close" };

export type PgliteReply =
  | ({ readonly id: number } & PgliteAnswer)
  | { readonly id: number; readonly error: PgliteError }
  | { readonly channel: string; readonly payload: string };

export interface PgliteAnswer {
  readonly rows: readonly unknown[];
  readonly affected: number;
  /** To what was asked raw. */
  readonly bytes?: Uint8Array;
}

/** An error on its way between threads, which keep no more than the message of one. */
export interface PgliteError {
  readonly message: string;
  readonly stack?: string;
  /** Its other fields, as `code` and `detail`. */
  readonly fields: Readonly<Record<string, string | number>>;
}

export interface PgliteWorkerData {
  readonly folder?: string;
}

/** What doctor says of one thing. */
export interface DoctorCheck {
  readonly check: "connect" | "migrated" | "writable" | "listen" | "clock" | "processes";
  readonly ok: boolean;
  /** One line for people. */
  readonly detail: string;
}

/** Where a kill is written down, for this process and every other. */
export interface KillSwitch {
  /** One write after the other, so that the last one asked for stands. */
  write(killed: boolean): Promise<void>;
}

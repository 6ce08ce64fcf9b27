import { FailureCode, costNanoUsd, type Price, type Provider } from "@sluice/contract";
import type { Job } from "./job.ts";
import type { Journal } from "./journal.ts";

/**
 * The provider, with each call in the journal before it leaves and after it ended. A call that can't be
 * written down is not made.
 */
export function journaledProvider(parts: {
  readonly provider: Provider<Job>;
  readonly journal: Journal;
  readonly price: Price | undefined;
  /** The journal can't be written: the run has to end. */
  readonly onBroken: (error: unknown) => void;
}): Provider<Job> {
  const { provider, journal, price, onBroken } = parts;
  return {
    ...provider,
    async generate(call) {
      const number = journal.account.nextCall;
      const { id: job } = call.input;
      const idempotencyKey = journal.account.keyOf(job) ?? call.idempotencyKey;
      const {
        inputTokens = 0,
        outputTokens = 0,
        costNanoUsd: reservedNanoUsd = 0,
      } = call.reserved ?? {};
      try {
        await journal.write({
          type: "dispatched",
          call: number,
          job,
          idempotencyKey,
          inputTokens,
          outputTokens,
          costNanoUsd: reservedNanoUsd,
        });
      } catch (error) {
        onBroken(error);
        return { ok: false, code: FailureCode.INTERNAL, dispatched: false };
      }
      // Killed or stopped while the disk was at it.
      if (call.signal.aborted) {
        journal.write({ type: "voided", call: number }).catch(onBroken);
        return { ok: false, code: FailureCode.CLIENT_ABORTED, dispatched: false };
      }
      const reply = await provider.generate({ ...call, idempotencyKey });
      // Written before the guard learns of the answer, so that the journal never frees budget later
      // than the guard does; nobody waits for it, because its loss only leaves more charged.
      if (!reply.ok && !reply.dispatched) {
        journal.write({ type: "voided", call: number }).catch(onBroken);
      } else if (reply.usage !== undefined) {
        journal
          .write({
            type: "settled",
            call: number,
            inputTokens: reply.usage.inputTokens,
            outputTokens: reply.usage.outputTokens,
            costNanoUsd: price === undefined ? 0 : costNanoUsd(reply.usage, price),
          })
          .catch(onBroken);
      }
      return reply;
    },
  };
}

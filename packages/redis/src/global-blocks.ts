import type { AdmissionAsk } from "@sluice/contract";
import { createBlockAdmission, toBlockLimits, type BlockReply } from "./block-admission.ts";
import { createBlocks } from "./blocks.ts";
import type { Keys } from "./keys.ts";
import type { OwnReply } from "./own-admission.ts";
import { createOwnLimits, type OwnLimitsParts } from "./own-limits.ts";
import { isWrongType, wrongType } from "./wrong-type.ts";

/** Decisions with global limits out of blocks, and what is a subject's own after them. */
export interface GlobalBlocks {
  acquire(subject: string, ask: AdmissionAsk | undefined): OwnReply | Promise<OwnReply>;
  /** Requests that are counted in this process, not in Redis. */
  readonly inFlight: number;
  /** Tells Redis what is held of global limits, and that it goes on. */
  renew(): void;
  /** The same, and what else is counted here: after a loss Redis may know nothing. */
  tellAll(): void;
  close(): void;
}

/** @throws ConfigError for limits that can't be cut */
export function createGlobalBlocks(
  parts: OwnLimitsParts & {
    /** Of the shard that the global limits stand on. */
    readonly keys: Pick<Keys, "blocks" | "messageRate">;
  },
): GlobalBlocks {
  const { settings, keys, run, leases, mayAsk, heard, withoutRedis } = parts;
  /** Of the last trip for a block. */
  let isBlockWrong = false;
  const blocks = createBlocks({
    ...parts,
    ...settings,
    limits: toBlockLimits(settings),
    keys: [keys.blocks, keys.messageRate],
    run: async (...call) => {
      try {
        return await run(...call);
      } catch (error) {
        isBlockWrong = isWrongType(error);
        throw error;
      }
    },
  });
  const refill = async (): Promise<boolean> => {
    if (!mayAsk()) return false;
    isBlockWrong = false;
    const isAnswered = await blocks.refill();
    heard(isAnswered || (isBlockWrong ? wrongType : undefined));
    return isAnswered;
  };
  const typicalWaitMs = (): number => leases.typicalWaitMs();
  const inBlocks = createBlockAdmission({ settings, blocks, refill, typicalWaitMs });
  const own = createOwnLimits(parts);

  const goOn = (
    subject: string,
    ask: AdmissionAsk | undefined,
    taken: BlockReply | undefined,
  ): OwnReply | Promise<OwnReply> => {
    if (taken === undefined) return withoutRedis.acquire(subject, ask);
    if (taken === "unavailable" || !taken.admitted || own === undefined) return taken;
    return own.decide(subject, ask, taken);
  };

  return {
    acquire(subject, ask) {
      const taken = inBlocks.acquire(ask);
      if (!(taken instanceof Promise)) return goOn(subject, ask, taken);
      return taken.then((reply) => goOn(subject, ask, reply));
    },
    get inFlight() {
      return own?.inFlight ?? inBlocks.size;
    },
    renew: () => inBlocks.renew(),
    tellAll() {
      inBlocks.renew();
      own?.renew();
    },
    close() {
      own?.close();
      inBlocks.close();
    },
  };
}

import type { FlagSource } from "@sluice/contract";
import express, { type RequestHandler, type Router } from "express";
import type { ChatGuard } from "./chat-guard.ts";
import { flagState } from "./flag-state.ts";
import { isAuthoritative } from "./gateway-mode.ts";
import type { KillSwitch } from "./kill-file.ts";
import type { RecentFigures } from "./recent-figures.ts";
import type { RecentOutcomes } from "./recent-outcomes.ts";

export interface OperatorRoutesOptions {
  readonly guard: ChatGuard;
  readonly flags: FlagSource;
  /** Where the flags come from, for people. Default: their source's name. */
  readonly flagsOrigin?: string | undefined;
  readonly killSwitch: KillSwitch;
  readonly outcomes: RecentOutcomes;
  readonly upstream: string;
  readonly breakDown?: ((broken: boolean) => void) | undefined;
  readonly figures?: (() => Promise<RecentFigures>) | undefined;
}

/** What the page asks and does besides chatting. */
export function operatorRoutes(options: OperatorRoutesOptions): Router {
  const { guard, flags, killSwitch, outcomes, upstream, breakDown, figures } = options;
  const { flagsOrigin = flags.name } = options;
  const router = express.Router();
  let kills = 0;
  let broken = false;

  router.get("/state", (_req, res) => {
    const { shut, percent, flagProblems, providers } = guard.describe();
    res.json({
      gateway: isAuthoritative(flags.readSwitches().switches),
      shut: shut?.reason ?? null,
      percent,
      flag: flagState(flags, guard.feature, flagsOrigin),
      providers: providers.map(({ provider, breaker, coolingMs }) => ({
        provider,
        state: coolingMs === undefined ? breaker : "cooling down",
      })),
      failover: flags.readSwitches().switches.FF_PROVIDER_FAILOVER_ENABLED,
      broken: breakDown === undefined ? null : broken,
      upstream,
      problems: [
        ...flagProblems.map(
          ({ variable, readAs }) => `${variable} is malformed, read as ${readAs}`,
        ),
        ...providers.flatMap(({ notReady }) => (notReady === undefined ? [] : [notReady])),
      ],
      outcomes: outcomes.counts(),
      inFlight: guard.inFlight,
      figures: figures !== undefined,
    });
  });

  router.get("/figures", async (_req, res) => {
    if (figures === undefined) {
      res.status(404).json({ error: "no database, no figures" });
      return;
    }
    try {
      res.json(await figures());
    } catch {
      res.status(503).json({ error: "the database can't be read" });
    }
  });

  router.get("/decisions/:id", (req, res) => {
    const note = outcomes.find(req.params.id);
    if (note === undefined) res.status(404).json({ error: "unknown decision" });
    else res.json(note);
  });

  router.post("/kill", fromThisPage, async (_req, res) => {
    // This process first: it must wait for no disk and no database.
    guard.kill();
    kills += 1;
    if (await isWritten(killSwitch.write(true))) res.json({ killed: true });
    else
      res
        .status(500)
        .json({ killed: true, error: "killed here, but the kill could not be written down" });
  });

  router.post("/restore", fromThisPage, async (_req, res) => {
    const killsBefore = kills;
    if (!(await isWritten(killSwitch.write(false)))) {
      res.status(500).json({ error: "the kill can't be taken back: nothing could be written" });
      return;
    }
    // A kill that came meanwhile stands.
    if (kills === killsBefore) guard.restore();
    res.json({ killed: kills !== killsBefore });
  });

  router.post("/break", fromThisPage, (_req, res) => {
    if (breakDown === undefined) {
      res.status(409).json({ error: "only the local stand-in can be broken" });
      return;
    }
    broken = !broken;
    breakDown(broken);
    res.json({ broken });
  });
  return router;
}

async function isWritten(write: Promise<void>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch {
    return false;
  }
}

/**
 * Another site's page must not press the buttons for a person who has this one open. Browsers tell the
 * site only where a connection is safe from tampering, but the origin always.
 */
const fromThisPage: RequestHandler = (req, res, next) => {
  const site = req.get("sec-fetch-site") ?? "none";
  const origin = req.get("origin");
  const sameSite = site === "same-origin" || site === "none";
  const sameHost = origin === undefined || hostOf(origin) === req.get("host");
  if (sameSite && sameHost) next();
  else res.status(403).json({ error: "only from this page" });
};

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

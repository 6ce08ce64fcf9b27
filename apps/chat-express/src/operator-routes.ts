import express, { type Router } from "express";
import { appState, type AppStateOptions } from "./app-state.ts";
import type { ChatGateways } from "./chat-gateways.ts";
import { fromThisPage } from "./from-this-page.ts";
import type { KillSwitch } from "./kill-switch.ts";
import type { RecentFigures } from "./recent-figures.ts";
import type { RecentOutcomes } from "./recent-outcomes.ts";
import { switchRoutes } from "./switch-routes.ts";

export interface OperatorRoutesOptions extends AppStateOptions {
  readonly gateways: ChatGateways;
  readonly killSwitch: KillSwitch;
  readonly outcomes: RecentOutcomes;
  /** Makes the first provider fail, or work again; only of a local stand-in. */
  readonly breakDown?: ((broken: boolean) => void) | undefined;
  /** Of the whole fleet, where its processes write them down. */
  readonly figures?: (() => Promise<RecentFigures>) | undefined;
}

/** What the page asks and does besides chatting. */
export function operatorRoutes(options: OperatorRoutesOptions): Router {
  const { guard, killSwitch, outcomes, breakDown, figures } = options;
  const router = express.Router();
  let kills = 0;
  let broken = false;

  router.get("/state", async (_req, res) => {
    res.json({
      ...(await appState(options)),
      broken: breakDown === undefined ? null : broken,
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

  router.use(switchRoutes(options.flagsFile));

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

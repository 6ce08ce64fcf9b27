import { switchNames, type SwitchName } from "@sluice/contract";
import express, { type Router } from "express";
import type { FlagsFile } from "./flags-file.ts";
import { fromThisMachine, fromThisPage } from "./from-this-page.ts";

/** Turns a switch of the gateway on or off where it stands; whoever reads the file follows. */
export function switchRoutes(file: FlagsFile | undefined): Router {
  const router = express.Router();
  router.use("/switches", fromThisPage, fromThisMachine);
  router.post("/switches/:name/:value", async (req, res) => {
    const { name, value } = req.params;
    if (!isSwitch(name) || (value !== "on" && value !== "off")) {
      res.status(404).json({ error: "unknown switch" });
      return;
    }
    if (file === undefined) {
      res.status(409).json({ error: "the switches do not come from a file" });
      return;
    }
    try {
      await file.setSwitch(name, value === "on");
    } catch {
      res.status(500).json({ error: "the flags file can't be written" });
      return;
    }
    res.json({ [name]: value === "on" });
  });
  return router;
}

function isSwitch(name: string): name is SwitchName {
  return (switchNames as readonly string[]).includes(name);
}

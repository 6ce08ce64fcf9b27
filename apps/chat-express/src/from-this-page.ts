import type { RequestHandler } from "express";

/**
 * Another site's page must not press the buttons for a person who has this one open. Browsers tell the
 * site only where a connection is safe from tampering, but the origin always.
 */
export const fromThisPage: RequestHandler = (req, res, next) => {
  const site = req.get("sec-fetch-site") ?? "none";
  const origin = req.get("origin");
  const sameSite = site === "same-origin" || site === "none";
  const sameHost = origin === undefined || hostOf(origin) === req.get("host");
  if (sameSite && sameHost) next();
  else res.status(403).json({ error: "only from this page" });
};

const loopback = /^(?:127(?:\.\d{1,3}){3}|::1|::ffff:127(?:\.\d{1,3}){3})$/;
const ownNames = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

/**
 * Anybody may narrow; what may widen is for who sits at this machine. The host's name is looked at as well:
 * a stranger's name can be made to lead here.
 */
export const fromThisMachine: RequestHandler = (req, res, next) => {
  const isHere = loopback.test(req.socket.remoteAddress ?? "");
  if (isHere && ownNames.test(req.get("host") ?? "")) next();
  else res.status(403).json({ error: "only from the machine that the app runs on" });
};

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

import { NextResponse, type NextRequest } from "next/server.js";
import { visitorCookie, visitors } from "./visitors.ts";

/** Gives a browser that has none an identity. */
export function proxy(request: NextRequest): NextResponse {
  const response = NextResponse.next();
  if (visitors().idOf(request.cookies.get(visitorCookie)?.value) === undefined) {
    response.cookies.set(visitorCookie, visitors().greet(), { httpOnly: true, sameSite: "strict" });
  }
  return response;
}

export const config = { matcher: "/" };

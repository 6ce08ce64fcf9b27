// oxlint-disable-next-line import/no-unassigned-import -- it puts the DOM in its place.
import "./dom-for-tests.ts";
import { useChat, type UIMessage } from "@ai-sdk/react";
import { renderHook } from "@testing-library/react";
import { DefaultChatTransport } from "ai";
import { useEffect } from "react";
import { expect, onTestFinished, vi } from "vitest";

/** An answer as it came over the wire. */
export interface Wire {
  readonly status: number;
  readonly headers: Headers;
  /** Its whole body; rejects where the client left before its end. */
  readonly text: Promise<string>;
}

/** What a user sees. */
export interface Shown {
  readonly status: string;
  readonly error: string | undefined;
  /** Role and text of each message. */
  readonly messages: readonly string[];
}

/** A page with `useChat` in it. */
export function openChat(api: string, headers: Readonly<Record<string, string>> = {}) {
  const wires: Wire[] = [];
  const seen: Shown[] = [];
  const recorded: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    // The client reads no further than to an error.
    const text = response.clone().text();
    text.catch(() => undefined);
    wires.push({ status: response.status, headers: response.headers, text });
    return response;
  };
  const transport = new DefaultChatTransport({ api, headers, fetch: recorded });
  const { result, unmount } = renderHook(() => {
    const chat = useChat({ transport });
    useEffect(() => void seen.push(toShown(chat)));
    return chat;
  });
  onTestFinished(unmount);
  const shown = (): Shown => toShown(result.current);

  return {
    shown,
    /** Every state that was rendered. */
    seen,
    wires,
    messages: (): readonly UIMessage[] => result.current.messages,
    /** Types a message and sends it; resolves when its answer is over. */
    send: (text: string): Promise<void> => result.current.sendMessage({ text }),
    regenerate: (): Promise<void> => result.current.regenerate(),
    /** Presses the stop button. */
    stop: (): Promise<void> => result.current.stop(),
    becomes: (state: Partial<Shown>): Promise<void> =>
      vi.waitFor(() => expect(shown()).toMatchObject(state), { interval: 5, timeout: 10_000 }),
    /** The statuses that followed each other. */
    statuses: (): readonly string[] =>
      seen.map(({ status }) => status).filter((status, at, all) => status !== all[at - 1]),
  };
}

interface Visible {
  readonly status: string;
  readonly error: Error | undefined;
  readonly messages: readonly UIMessage[];
}

const toShown = ({ status, error, messages }: Visible): Shown => ({
  status,
  error: error?.message,
  messages: messages.map(({ role, parts }) => `${role}: ${textOf(parts)}`),
});

const textOf = (parts: UIMessage["parts"]): string =>
  parts.map((part) => (part.type === "text" ? part.text : "")).join("");

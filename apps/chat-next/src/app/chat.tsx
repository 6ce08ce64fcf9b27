"use client";

import { useChat } from "@ai-sdk/react";
import { useEffect, useRef, useState, useSyncExternalStore, type FormEvent } from "react";
import { Answer } from "./answer.tsx";
import { type ChatMessage, textOf } from "./chat-message.ts";

/** A conversation over the guarded `/api/chat`. */
export function Chat() {
  const [cut, setCut] = useState<Cut>({});
  const { messages, sendMessage, status, stop, error } = useChat<ChatMessage>({
    onFinish({ message, isAbort, isError, isDisconnect }) {
      const how = isAbort ? "stopped" : isError || isDisconnect ? "incomplete" : undefined;
      if (how !== undefined) setCut((others) => ({ ...others, [message.id]: how }));
    },
  });
  const [text, setText] = useState("");
  const isAlive = useSyncExternalStore(neverChanges, inBrowser, onServer);
  const end = useRef<HTMLDivElement>(null);
  const isBusy = status === "submitted" || status === "streaming";

  useEffect(() => {
    // Not returned: some browsers promise to tell when they have scrolled.
    end.current?.scrollIntoView({ block: "end" });
  }, [messages, status]);

  const send = (event: FormEvent): void => {
    event.preventDefault();
    if (isBusy || text.trim() === "") return;
    setText("");
    void sendMessage({ text });
  };

  return (
    <div className="chat">
      <header>
        <h1>Guarded chat</h1>
        <p role="status" className={status}>
          {isAlive ? statusWords[status] : "Loading…"}
        </p>
      </header>
      <main aria-label="Conversation" tabIndex={0}>
        {messages.length === 0 && (
          <p className="hint">
            Ask something. Each answer says which path gave it: the model, or the handler that was
            here before it. Change <code>flags.env</code> while you chat.
          </p>
        )}
        <div aria-live="polite" className="log">
          {messages.map((message, index) =>
            message.role === "user" ? (
              <p key={message.id} className="me">
                {textOf(message)}
              </p>
            ) : (
              <Answer
                key={message.id}
                message={message}
                cut={cut[message.id]}
                isFlowing={isBusy && index === messages.length - 1}
              />
            ),
          )}
        </div>
        {error !== undefined && (
          <p role="alert" className="trouble">
            {sentenceOf(error)}
          </p>
        )}
        <div ref={end} />
      </main>
      <form onSubmit={send}>
        <input
          aria-label="Your message"
          placeholder="Your message"
          autoComplete="off"
          maxLength={32_000}
          // What is typed into a page that does not listen yet is lost.
          disabled={!isAlive}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        {isBusy ? (
          <button type="button" key="stop" className="stop" onClick={() => void stop()}>
            Stop
          </button>
        ) : (
          <button type="submit" key="send" disabled={!isAlive}>
            Send
          </button>
        )}
      </form>
    </div>
  );
}

const neverChanges = () => () => undefined;
const inBrowser = () => true;
const onServer = () => false;

/** Answers that did not come to their end, by id. */
type Cut = Readonly<Record<string, "stopped" | "incomplete">>;

const statusWords = {
  ready: "Ready",
  submitted: "Waiting for the answer…",
  streaming: "Answering…",
  error: "The last answer failed",
} as const;

/** What the gateway answers is a sentence already; what the browser says of a lost server is none. */
const sentenceOf = (error: Error): string =>
  error instanceof TypeError ? "The server can't be reached. Please try again." : error.message;

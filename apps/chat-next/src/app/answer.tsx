import { textOf, type ChatMessage } from "./chat-message.ts";

interface AnswerProps {
  readonly message: ChatMessage;
  readonly isFlowing: boolean;
  /** Why it did not come to its end. */
  readonly cut: "stopped" | "incomplete" | undefined;
}

/** One answer, and who gave it. */
export function Answer(props: AnswerProps) {
  const text = textOf(props.message);
  return (
    <article className="answer" aria-busy={props.isFlowing}>
      {text === "" && !props.isFlowing ? <p className="nothing">No answer.</p> : <p>{text}</p>}
      <footer>{props.isFlowing ? "…" : <Path {...props} />}</footer>
    </article>
  );
}

function Path({ message: { metadata }, cut }: AnswerProps) {
  if (cut !== undefined) return <span className="path failed">{cut}</span>;
  const { path = "legacy", selected_provider: provider } = metadata ?? {};
  return (
    <>
      <span className={`path ${path}`}>{words[path]}</span>
      {provider !== undefined && ` by ${provider}`}
    </>
  );
}

const words = { ai: "AI", stub: "stub", legacy: "legacy handler", none: "nobody" } as const;

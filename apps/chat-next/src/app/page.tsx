import { Chat } from "./chat.tsx";

/** Each visitor gets a cookie with it, which nobody between may keep. */
export const dynamic = "force-dynamic";

// oxlint-disable-next-line import/no-default-export -- Next finds it so
export default function Page() {
  return <Chat />;
}

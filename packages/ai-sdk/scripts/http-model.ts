import {
  APICallError,
  type LanguageModelV4,
  type LanguageModelV4CallOptions,
  type LanguageModelV4FinishReason,
  type LanguageModelV4StreamPart,
  type LanguageModelV4Usage,
} from "@ai-sdk/provider";

/** The parts of an answer that the model reads. */
interface Answer {
  readonly choices?: readonly {
    readonly message?: { readonly content?: string };
    readonly delta?: { readonly content?: string; readonly reasoning?: string };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
  readonly error?: unknown;
}

/** A model over an OpenAI-compatible upstream, as the SDK's own provider packages behave. */
export function httpModel(url: string): LanguageModelV4 {
  const post = async (options: LanguageModelV4CallOptions, stream: boolean): Promise<Response> => {
    const body = { stream, max_completion_tokens: options.maxOutputTokens, prompt: options.prompt };
    const about = { url, requestBodyValues: body };
    let response: Response;
    try {
      response = await fetch(`${url}/chat/completions`, {
        method: "POST",
        headers: Object.entries(options.headers ?? {}).filter(
          (entry): entry is [string, string] => entry[1] !== undefined,
        ),
        body: JSON.stringify(body),
        signal: options.abortSignal ?? null,
      });
    } catch (error) {
      const { cause } = error as Error;
      if (cause === undefined) throw error;
      const message = `Cannot connect to API: ${(cause as Error).message}`;
      throw new APICallError({ ...about, message, cause, isRetryable: true });
    }
    if (response.ok) return response;
    const responseBody = await response.text();
    throw new APICallError({
      ...about,
      message: responseBody,
      statusCode: response.status,
      responseHeaders: Object.fromEntries(response.headers),
      responseBody,
    });
  };

  return {
    specificationVersion: "v4",
    provider: "http.chat",
    modelId: "m",
    supportedUrls: {},
    async doGenerate(options) {
      const response = await post(options, false);
      let answer: Answer;
      try {
        answer = (await response.json()) as Answer;
      } catch (cause) {
        throw new APICallError({
          message: "Failed to process successful response",
          cause,
          url,
          requestBodyValues: {},
          statusCode: response.status,
        });
      }
      const choice = answer.choices?.[0];
      return {
        content: [{ type: "text", text: choice?.message?.content ?? "" }],
        finishReason: finishOf(choice?.finish_reason),
        usage: usageOf(answer),
        warnings: [],
      };
    },
    async doStream(options) {
      const response = await post(options, true);
      const body = response.body as ReadableStream<Uint8Array>;
      return { stream: body.pipeThrough(new TextDecoderStream()).pipeThrough(toParts()) };
    },
  };
}

function toParts(): TransformStream<string, LanguageModelV4StreamPart> {
  let rest = "";
  let open = false;
  let finishReason: LanguageModelV4FinishReason = { unified: "other", raw: undefined };
  let usage = usageOf({});
  return new TransformStream({
    start: (controller) => controller.enqueue({ type: "stream-start", warnings: [] }),
    transform(chunk, controller) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
        const answer = JSON.parse(line.slice("data: ".length)) as Answer;
        if (answer.error !== undefined) {
          finishReason = { unified: "error", raw: undefined };
          controller.enqueue({ type: "error", error: answer.error });
          continue;
        }
        if (answer.usage !== undefined && answer.usage !== null) usage = usageOf(answer);
        const choice = answer.choices?.[0];
        if (typeof choice?.finish_reason === "string") {
          finishReason = finishOf(choice.finish_reason);
        }
        const { content, reasoning } = choice?.delta ?? {};
        if (reasoning !== undefined) {
          controller.enqueue({ type: "reasoning-start", id: "r" });
          controller.enqueue({ type: "reasoning-delta", id: "r", delta: reasoning });
          controller.enqueue({ type: "reasoning-end", id: "r" });
        }
        if (content === undefined || content === "") continue;
        if (!open) controller.enqueue({ type: "text-start", id: "0" });
        open = true;
        controller.enqueue({ type: "text-delta", id: "0", delta: content });
      }
    },
    flush(controller) {
      if (open) controller.enqueue({ type: "text-end", id: "0" });
      controller.enqueue({ type: "finish", finishReason, usage });
    },
  });
}

const finishes: ReadonlyMap<string | null | undefined, LanguageModelV4FinishReason["unified"]> =
  new Map([
    ["stop", "stop"],
    ["length", "length"],
    ["content_filter", "content-filter"],
  ]);

function finishOf(raw: string | null | undefined): LanguageModelV4FinishReason {
  return { unified: finishes.get(raw) ?? "other", raw: raw ?? undefined };
}

function usageOf({ usage }: Answer): LanguageModelV4Usage {
  return {
    inputTokens: {
      total: usage?.prompt_tokens,
      noCache: undefined,
      cacheRead: undefined,
      cacheWrite: undefined,
    },
    outputTokens: { total: usage?.completion_tokens, text: undefined, reasoning: undefined },
  };
}

import { describe, expect, it } from "vitest";
import { urlSecrets } from "./url-secrets.ts";

describe("what of a connection string no line may show", () => {
  it.each([
    ["nothing of one that is not set", undefined, []],
    ["nothing of one that is empty: hiding it would cut up every line", "", []],
    ["all of one that can't be read", "no url", ["no url"]],
  ])("%s", (_title, text, secrets) => {
    expect(urlSecrets(text)).toEqual(secrets);
  });

  it("its password, as written and decoded, and values of parameters that name one", () => {
    const secrets = urlSecrets("postgres://ann:p%40ss@host/db?sslpassword=hush&a=b");
    expect(secrets).toEqual(expect.arrayContaining(["p%40ss", "p@ss", "hush"]));
    expect(secrets).not.toContain("b");
  });
});

/** The answers that the product gave before there was a model. */
const topics: readonly (readonly [RegExp, string])[] = [
  [/\b(?:price|cost|pay|refund)\b/i, "Prices and refunds are on the page “Billing”."],
  [/\b(?:password|login|sign in)\b/i, "You can reset your password on the sign-in page."],
  [/\b(?:hello|hi|hey)\b/i, "Hello! Ask about billing or your account."],
];

const otherwise =
  "I can help with billing and accounts. A person answers within a day: support desk.";

export const cannedReply = (asked: string): string =>
  topics.find(([topic]) => topic.test(asked))?.[1] ?? otherwise;

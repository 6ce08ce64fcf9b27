import type { NextConfig } from "next";

const config: NextConfig = {
  typescript: { tsconfigPath: "tsconfig.next.json" },
  // It starts servers, and is there only where there is no key of a real one.
  serverExternalPackages: ["@copilotkit/aimock"],
  poweredByHeader: false,
  devIndicators: false,
};

export default config;

import { PrismaPg } from '@prisma/adapter-pg';
import { getPrismaClient, type GetPrismaClientConfig } from '@prisma/client/runtime/client';

/** What every generated client has, whatever its schema. */
export type PrismaClient = Pick<InstanceType<ReturnType<typeof getPrismaClient>>, '$queryRaw' | '$disconnect'>;

/** A client of the real package, made as `prisma generate` makes it for a schema without models, which needs neither its command nor the network. */
export function connectPrisma(connectionString: string): PrismaClient {
  const Client = getPrismaClient({
    runtimeDataModel: { models: {}, enums: {}, types: {} },
    previewFeatures: [],
    clientVersion: '7.0.0',
    engineVersion: '0',
    activeProvider: 'postgresql',
    inlineSchema: 'datasource db {\n  provider = "postgresql"\n}\n',
    parameterizationSchema: { strings: [], graph: Buffer.alloc(16).toString('base64') },
    compilerWasm,
  });
  return new Client({ adapter: new PrismaPg({ connectionString, connectionTimeoutMillis: 500, query_timeout: 700 }) });
}

type CompilerWasm = NonNullable<GetPrismaClientConfig['compilerWasm']>;

const compilerWasm: CompilerWasm = {
  getRuntime: () => load<Awaited<ReturnType<CompilerWasm['getRuntime']>>>('query_compiler_fast_bg.postgresql.mjs'),
  async getQueryCompilerWasmModule() {
    const { wasm } = await load<{ wasm: string }>('query_compiler_fast_bg.postgresql.wasm-base64.mjs');
    return new WebAssembly.Module(Buffer.from(wasm, 'base64'));
  },
  importName: './query_compiler_fast_bg.js',
};

/** The package declares no types for these. */
async function load<T>(file: string): Promise<T> {
  return (await import(`@prisma/client/runtime/${file}`)) as T;
}

/** Neither `es2023` nor the types of Node 20 have it. */
declare const WebAssembly: { readonly Module: new (bytes: Uint8Array) => unknown };

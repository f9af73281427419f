import {defineConfig} from 'vite';

export default defineConfig({esbuild: {jsxFactory: 'h'}, ssr: {noExternal: true}});

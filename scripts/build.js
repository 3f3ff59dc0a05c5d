// npm run build
import { build } from './setup.js';

build();

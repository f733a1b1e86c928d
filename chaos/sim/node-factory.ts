// The production node, as the simulator starts it.

import { RegionNode } from '../../src/region/node.ts';
import type { NodeFactory } from './cluster.ts';

export const regionNode: NodeFactory = (settings, ports) => new RegionNode(settings, ports);

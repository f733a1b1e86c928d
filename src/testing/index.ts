// The package's `causeway/testing`: clusters in memory, for the tests of programs that use Causeway.

export { startCluster, type ClusterOptions, type TestCluster } from './cluster.ts';

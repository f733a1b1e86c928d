// causeway version: what is installed here, and with --endpoint what a node runs.

import { version } from '../config/version.ts';
import { examples, type AddCommand } from './context.ts';
import { withAdmin } from './nodes.ts';

export const addVersion: AddCommand = (program, act) => {
  program
    .command('version')
    .description('the version of this command, and of a node when --endpoint names one')
    .addHelpText(
      'after',
      examples(
        ['causeway version', 'what is installed here'],
        ['causeway version --json', 'with Node and platform, for a bug report'],
        ['causeway version -e eu-1:7400', 'what that node runs'],
      ),
    )
    .action(
      act(async (context) => {
        const { terminal } = context;
        const here = {
          version: version(),
          node: process.versions.node,
          platform: `${process.platform}-${process.arch}`,
        };
        const servers = [];
        if (context.endpointsGiven) {
          for (const endpoint of context.endpoints) {
            const ping = await withAdmin(context, endpoint, (admin) => admin.ping());
            servers.push({ endpoint, region: ping.region, node: ping.node, version: ping.version });
          }
        }
        if (terminal.json) terminal.document(context.endpointsGiven ? { ...here, servers } : here);
        else {
          terminal.line(`causeway ${here.version} (Node ${here.node}, ${here.platform})`);
          for (const server of servers)
            terminal.line(`${server.endpoint}  ${server.region}/${server.node}  ${server.version}`);
        }
      }),
    );
};

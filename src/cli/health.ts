// causeway health: whether nodes serve requests, by their own word. What the image's HEALTHCHECK asks.

import { EXIT_CODES } from '../errors/errors.ts';
import { examples, type AddCommand, type Context } from './context.ts';
import { askEach } from './nodes.ts';

export const addHealth: AddCommand = (program, act) => {
  program
    .command('health')
    .description('whether a node serves requests: exit 0 when it does, 4 when not')
    .addHelpText(
      'after',
      `${examples(
        ['causeway health', 'the node at 127.0.0.1:7400'],
        ['causeway -e eu-1:7400,eu-2:7400 health', 'several: 0 only when all of them do'],
        ['causeway health --timeout 3s', 'for a health check of containers'],
      )}
Serving is what /readyz means: a node that has lost its peers, is read-only or cannot trust its clock answers reads, and serves.
One that starts, asks members, has no shard's owner in sight or drains does not.
`,
    )
    .action(act(health));
};

async function health(context: Context): Promise<number> {
  const { terminal } = context;
  const answers = await askEach(context, (admin) => admin.ping());
  const nodes = answers.map((answer) =>
    'value' in answer
      ? {
          endpoint: answer.endpoint,
          ready: answer.value.ready,
          detail: `${answer.value.region}/${answer.value.node} ${answer.value.ready ? 'serves requests' : 'does not serve requests yet, or not any more: see causeway status'}`,
        }
      : { endpoint: answer.endpoint, ready: false, detail: answer.error.message },
  );
  const ready = nodes.every((node) => node.ready);
  if (terminal.json) terminal.document({ ready, nodes });
  else {
    for (const { endpoint, ready: good, detail } of nodes)
      terminal.line(`${endpoint}  ${good ? terminal.good(detail) : terminal.bad(detail)}`);
  }
  return ready ? EXIT_CODES.ok : EXIT_CODES.unavailable;
}

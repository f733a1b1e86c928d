// Completion scripts, made from the commands themselves. Pure: a tree of words in, a script out.

import type { Command } from 'commander';

export interface Word {
  readonly word: string;
  readonly says: string;
}

export interface Place {
  /** The commands up to here, e.g. `/set/add`; empty: none yet. */
  readonly path: string;
  readonly commands: readonly Word[];
  readonly flags: readonly Word[];
}

/** Where somebody may be while typing, and what can stand there. */
export function placesOf(program: Command): Place[] {
  const shared = flagsOf(program).filter(({ word }) => word !== '--version' && word !== '--help');
  const places: Place[] = [];
  const visit = (command: Command, path: string, flags: readonly Word[]): void => {
    const commands = command.commands.map((sub) => ({ word: sub.name(), says: sub.description() }));
    places.push({ path, commands, flags });
    for (const sub of command.commands) visit(sub, `${path}/${sub.name()}`, [...flagsOf(sub), ...shared]);
  };
  visit(program, '', flagsOf(program));
  return places;
}

function flagsOf(command: Command): Word[] {
  const own = command.options.flatMap(({ long, description, hidden }) =>
    long === undefined || long === null || hidden ? [] : [{ word: long, says: description }],
  );
  return [...own, { word: '--help', says: 'help, with examples' }];
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export function completionScript(shell: Shell, places: readonly Place[]): string {
  return { bash, zsh, fish }[shell](places);
}

/** What moves on to another place: `"/set"` and the word `add` lead to `/set/add`. */
function moves(places: readonly Place[]): string[] {
  return places.map(({ path }) => path).filter((path) => path !== '');
}

function bash(places: readonly Place[]): string {
  const cases = places.map(
    ({ path, commands, flags }) =>
      `    ${quoted(path)}) commands=${quoted(words(commands))} flags=${quoted(words(flags))} ;;`,
  );
  return `# bash completion for causeway:  source <(causeway completion bash)
_causeway() {
  local cur=\${COMP_WORDS[COMP_CWORD]} at='' commands='' flags='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at/\${COMP_WORDS[i]}" in
      ${moves(places).join(' | ')}) at="$at/\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at" in
${cases.join('\n')}
  esac
  if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  else COMPREPLY=($(compgen -W "$commands" -- "$cur")); fi
}
complete -o default -F _causeway causeway
`;
}

function zsh(places: readonly Place[]): string {
  const list = (all: readonly Word[]): string =>
    all.map(({ word, says }) => quoted(`${word.replaceAll(':', '\\:')}:${says.replaceAll(':', '\\:')}`)).join(' ');
  const cases = places.map(
    ({ path, commands, flags }) => `    (${quoted(path)}) commands=(${list(commands)}) flags=(${list(flags)}) ;;`,
  );
  return `#compdef causeway
# zsh completion for causeway:  source <(causeway completion zsh)
_causeway() {
  local at='' word
  local -a commands flags
  for word in \${words[2,CURRENT-1]}; do
    case "$at/$word" in
      (${moves(places).join('|')}) at="$at/$word" ;;
    esac
  done
  case "$at" in
${cases.join('\n')}
  esac
  if [[ $PREFIX == -* ]]; then _describe -o 'flag' flags
  elif (( $#commands )); then _describe 'command' commands
  else _files; fi
}
if [ "$funcstack[1]" = "_causeway" ]; then _causeway "$@"; else compdef _causeway causeway; fi
`;
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, commands, flags }) => {
    const here = `-n ${fishQuoted(`__causeway_at ${fishQuoted(path)}`)}`;
    return [
      ...commands.map(
        ({ word, says }) => `complete -c causeway -f ${here} -a ${fishQuoted(word)} -d ${fishQuoted(says)}`,
      ),
      ...flags.map(
        ({ word, says }) => `complete -c causeway ${here} -l ${fishQuoted(word.slice(2))} -d ${fishQuoted(says)}`,
      ),
    ];
  });
  return `# fish completion for causeway:  causeway completion fish | source
function __causeway_at
  set -l at ''
  for word in (commandline -opc)[2..-1]
    switch "$at/$word"
      case ${moves(places).map(fishQuoted).join(' ')}
        set at "$at/$word"
    end
  end
  test "$at" = "$argv[1]"
end
${lines.join('\n')}
`;
}

function words(all: readonly Word[]): string {
  return all.map(({ word }) => word).join(' ');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", `\\'`)}'`;
}

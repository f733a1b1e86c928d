// The report of a run as one page that needs nothing else: verdicts first, then what happened when, then every check with its facts.

import type { Recording } from '../history/recording.ts';
import { axisSvg, escapeText, faultsSvg, plotSvg, statesSvg, timeText, type Plot } from './plots.ts';
import { Timeline } from './series.ts';
import type { Summary } from './summary.ts';

export function pageOf(recording: Recording, summary: Summary): string {
  const { scenario, seed, findings, ops } = summary;
  const verdict = findings === 0 ? 'Nothing found' : `${findings} ${findings === 1 ? 'finding' : 'findings'}`;
  const lines = [
    `${ops.acknowledged.toLocaleString('en')} writes were acknowledged, ${ops.mayHaveHappened} may have happened, ${ops.refused} were refused.`,
    `${summary.faults.length} ${summary.faults.length === 1 ? 'fault' : 'faults'} in ${summary.minutes} ${summary.minutes === 1 ? 'minute' : 'minutes'} of traffic on ${summary.regions.join(', ')}; ${summary.startedAt.slice(0, 19).replace('T', ' ')} UTC.`,
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(`${scenario}: ${verdict}`)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<p class="kind">Causeway chaos report</p>
<h1>${escapeText(scenario)} <small>seed ${seed}</small></h1>
<p class="verdict ${findings === 0 ? 'good' : 'bad'}">${verdict}</p>
${lines.map((line) => `<p>${escapeText(line)}</p>`).join('\n')}
</header>
${findingsSection(summary)}
${timelineSection(recording)}
${checksSection(summary)}
${faultsSection(summary)}
<footer>
<p>Judge the saved history again: <code>npm run chaos -- check ${escapeText(summary.folder)}</code></p>
<p>Run it again: <code>${escapeText(summary.again)}</code> (the same plan and traffic; processes keep their own time, so not the same run).</p>
<p>What these checks mean, and what they do not show: <code>chaos/README.md</code>.</p>
</footer>
</main>
</body>
</html>
`;
}

function findingsSection(summary: Summary): string {
  const failed = summary.checks.filter(({ findingsTotal }) => findingsTotal > 0);
  if (failed.length === 0) return '';
  const parts = failed.map(({ check, promise, findings, findingsTotal }) => {
    const more = findingsTotal > findings.length ? `<li>and ${findingsTotal - findings.length} more</li>` : '';
    const items = findings.map((finding) => `<li>${escapeText(finding)}</li>`).join('');
    return `<h3>${escapeText(check)}</h3><p class="quiet">Promised: ${escapeText(promise)}.</p><ul class="findings">${items}${more}</ul>`;
  });
  return `<section><h2>Findings</h2>${parts.join('\n')}</section>`;
}

function timelineSection(recording: Recording): string {
  const timeline = new Timeline(recording);
  const { faults, regions } = recording;
  const plots: Plot[] = [
    {
      title: 'Writes acknowledged, per second, by the region that answered',
      series: timeline.acknowledged(),
      unit: '',
    },
    {
      title: 'Calls that failed or were not answered, per second, by their region',
      series: timeline.failed(),
      unit: '',
    },
    {
      title: 'Lag of what was acknowledged then, 99th percentile, by the region that it came from',
      series: timeline.lag(),
      unit: 'ms',
      logarithmic: true,
    },
  ];
  const legend = regions.map((region, i) => `<span><i class="region-${i}"></i>${escapeText(region)}</span>`).join('');
  const rows = regions.map((region) => ({ region, stretches: timeline.states(region) }));
  return `<section>
<h2>What happened when</h2>
<p class="legend">${legend}<span><i class="shade"></i>a fault</span></p>
<figure>${faultsSvg(timeline, faults)}
${plots.map((plot) => `<h4>${escapeText(plot.title)}</h4>${plotSvg(timeline, plot, faults)}`).join('\n')}
<h4>What each region said of itself (<span class="good">ready</span>, <span class="fair">serving with an alarm, or not taking writes</span>, <span class="bad">no answer</span>)</h4>
${statesSvg(timeline, rows, faults)}
${axisSvg(timeline)}</figure>
</section>`;
}

function checksSection(summary: Summary): string {
  const rows = summary.checks.map(({ check, promise, looked, findingsTotal, facts }) => {
    const result =
      findingsTotal > 0
        ? `<b class="bad">${findingsTotal} found</b>`
        : looked === 0
          ? 'nothing to judge'
          : '<b class="good">held</b>';
    const list = Object.entries(facts)
      .map(([name, value]) => `<span>${escapeText(name)} <b>${escapeText(`${value}`)}</b></span>`)
      .join('');
    return `<tr><th scope="row">${escapeText(check)}</th><td>${escapeText(promise)}<div class="facts">${list}</div></td><td class="number">${looked.toLocaleString('en')}</td><td>${result}</td></tr>`;
  });
  return `<section><h2>Checks</h2><table>
<thead><tr><th>Check</th><th>Promise</th><th class="number">Looked at</th><th>Result</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></section>`;
}

function faultsSection(summary: Summary): string {
  if (summary.faults.length === 0) return '';
  const rows = summary.faults.map(
    ({ says, fromMs, toMs }) =>
      `<tr><td class="number">${timeText(fromMs)}</td><td class="number">${timeText(toMs - fromMs)}</td><td>${escapeText(says)}</td></tr>`,
  );
  return `<section><h2>Faults</h2><table>
<thead><tr><th class="number">At</th><th class="number">For</th><th>What</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></section>`;
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --quiet: #5b6570; --paper: #ffffff; --edge: #dde2e8; --good: #1a7f37; --fair: #9a6700; --bad: #cf222e; --shade: #cf222e; --region-0: #0b6bcb; --region-1: #b35900; --region-2: #0f7b6c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaef; --quiet: #9aa5b1; --paper: #14181d; --edge: #2e353d; --good: #4ac26b; --fair: #d4a72c; --bad: #ff7b72; --shade: #ff7b72; --region-0: #6cb6ff; --region-1: #f0a35e; --region-2: #56d4c0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 32px 20px 48px; }
h1 { margin: 0; font-size: 28px; } h1 small { font-size: 15px; font-weight: 400; color: var(--quiet); }
h2 { margin: 36px 0 8px; font-size: 19px; } h3 { margin: 16px 0 0; font-size: 15px; } h4 { margin: 14px 0 2px; font-size: 13px; font-weight: 500; color: var(--quiet); }
p { margin: 4px 0; } .kind, .quiet, footer { color: var(--quiet); }
.verdict { display: inline-block; margin: 10px 0; padding: 4px 14px; border: 2px solid currentColor; border-radius: 6px; font-size: 18px; font-weight: 600; }
.good { color: var(--good); } .fair { color: var(--fair); } .bad { color: var(--bad); }
figure { margin: 0; overflow-x: auto; } svg { display: block; width: 100%; min-width: 640px; height: auto; }
.legend span { margin-right: 18px; } .legend i { display: inline-block; width: 14px; height: 4px; margin-right: 6px; vertical-align: middle; border-radius: 2px; }
.legend i.shade { height: 12px; background: var(--shade); opacity: 0.25; }
${[0, 1, 2].map((i) => `i.region-${i} { background: var(--region-${i}); } path.region-${i} { stroke: var(--region-${i}); }`).join('\n')}
path.line { fill: none; stroke-width: 1.6; stroke-linejoin: round; stroke-linecap: round; }
.grid { stroke: var(--edge); stroke-width: 1; } .tick { fill: var(--quiet); font-size: 11px; } .fault-name { fill: var(--bad); font-size: 11px; }
rect.fault { fill: var(--shade); opacity: 0.12; }
rect.state.good { fill: var(--good); } rect.state.fair { fill: var(--fair); } rect.state.bad { fill: var(--bad); }
table { width: 100%; border-collapse: collapse; } th, td { padding: 7px 10px 7px 0; border-bottom: 1px solid var(--edge); text-align: left; vertical-align: top; }
thead th { font-size: 13px; font-weight: 500; color: var(--quiet); } .number { text-align: right; padding-right: 20px; white-space: nowrap; }
.facts { font-size: 13px; color: var(--quiet); } .facts span { display: inline-block; margin-right: 16px; } .facts b { font-weight: 600; color: var(--ink); }
.findings li { overflow-wrap: anywhere; } code { font-size: 13px; overflow-wrap: anywhere; } footer { margin-top: 36px; font-size: 13px; }
`;

/** The style of the page. Its hash is in the Content-Security-Policy. */
export const STYLE = `
:root{--bg:#f6f7f9;--card:#fff;--ink:#14181f;--quiet:#5a6472;--line:#dfe3e8;--pass:#12753b;--warn:#8a5300;--fail:#b3161f;--unknown:#5a6472;--passbg:#e5f4ea;--warnbg:#fdf0d9;--failbg:#fdeaea;--unknownbg:#eceff3;--focus:#1f5fd6}
@media(prefers-color-scheme:dark){:root{--bg:#0e1116;--card:#171b22;--ink:#e8ebf0;--quiet:#a3adba;--line:#2b323c;--pass:#5fd38d;--warn:#f2b653;--fail:#ff8d8d;--unknown:#a3adba;--passbg:#10291a;--warnbg:#32250c;--failbg:#3a1518;--unknownbg:#212732;--focus:#8ab4ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.45 system-ui,sans-serif;font-variant-numeric:tabular-nums}
header,main,footer{max-width:72rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:1.5rem}
h1{margin:.1rem 0 .6rem;font-size:2.6rem;line-height:1.1;letter-spacing:-.02em}
h1 small{display:block;margin-top:.35rem;font-size:1rem;font-weight:400;letter-spacing:0;color:var(--quiet)}
h2{margin:0;font-size:1.15rem}
h3{margin:0;font-size:1rem;overflow-wrap:anywhere}
p{margin:0}
.service{color:var(--quiet)}
body::before{content:"";display:block;height:8px;background:var(--tone)}
body{--tone:var(--unknown)}
body[data-tone=pass]{--tone:var(--pass)}
body[data-tone=warn]{--tone:var(--warn)}
body[data-tone=fail]{--tone:var(--fail)}
h1{color:var(--tone)}
.why{font-size:1.0625rem;margin-bottom:.6rem}
.quiet,footer{color:var(--quiet);font-size:.875rem}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
[hidden]{display:none!important}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:1rem;padding:.5rem;background:var(--card);z-index:1}
#kinds ul{display:flex;flex-wrap:wrap;gap:.5rem;margin:0;padding:0;list-style:none}
.kind{padding:.3rem .75rem;border-radius:2rem;font-weight:600}
.kind .reason{font-weight:400}
.pass{--c:var(--pass);--b:var(--passbg)}.warn{--c:var(--warn);--b:var(--warnbg)}.fail{--c:var(--fail);--b:var(--failbg)}.unknown{--c:var(--unknown);--b:var(--unknownbg)}
.kind{color:var(--c);background:var(--b)}
.kind .reason{margin-left:.5rem;overflow-wrap:anywhere}
main{display:grid;gap:1.5rem;padding-top:1.5rem;padding-bottom:1.5rem}
main>div:empty{display:none}
.title{display:flex;flex-wrap:wrap;align-items:baseline;gap:.25rem 1rem;margin-bottom:.6rem}
.title p{color:var(--quiet)}
.filter{margin-left:auto}
.list,.changes{margin:0;padding:0;list-style:none}
.list{display:grid;gap:.5rem}
.many>li{content-visibility:auto;contain-intrinsic-size:auto 3.9rem}
.probe{display:grid;grid-template-columns:1.6rem minmax(8rem,1fr) minmax(12rem,1.1fr) minmax(20rem,1.2fr) auto auto;gap:.35rem .9rem;align-items:center;padding:.6rem 1rem;background:var(--card);border:1px solid var(--line);border-left:5px solid var(--c);border-radius:8px}
.probe.fail,.probe.warn{background:var(--b)}
.mark{color:var(--c);font-weight:700}
.word{color:var(--c);font-weight:600}
.mark{font-size:1.15rem}
.runs{display:flex;flex-wrap:wrap;align-items:center;gap:.2rem .75rem}
.times{font-size:.875rem;color:var(--quiet)}
.times b{color:var(--ink);font-weight:600}
.probe>.reason,.probe>.more,.probe>details[open]{grid-column:2/-1}
.probe>details{grid-column:6}
.probe>.reason{font-size:1.0625rem;overflow-wrap:anywhere}
.list .reason bdi,.changes .reason bdi{white-space:pre-wrap}
details{font-size:.875rem}
summary{width:max-content;color:var(--quiet);cursor:pointer;border-radius:4px}
table{border-collapse:collapse;margin-top:.4rem}
th,td{padding:.1rem 1rem .1rem 0;text-align:left;font-weight:400}
thead th{color:var(--quiet)}
.set td,.set th{font-weight:600}
svg{display:block;background:var(--bg);border-radius:3px}
svg path{stroke-width:3;fill:none}
svg .pass{stroke:var(--pass)}svg .fail{stroke:var(--fail)}svg .timeout{stroke:var(--fail)}svg .limit{stroke:var(--quiet);stroke-width:1;stroke-dasharray:2 3}
.changes{margin-top:.6rem;background:var(--card);border:1px solid var(--line);border-radius:8px;max-height:26rem;overflow:auto}
.changes li{padding:.4rem 1rem;border-bottom:1px solid var(--line);border-left:5px solid var(--c,transparent)}
.changes li:last-child{border-bottom:0}
.changes time{color:var(--quiet);margin-right:.5rem}
.changes .reason{display:block;color:var(--quiet);overflow-wrap:anywhere}
.notice,.actions{padding:1rem;background:var(--card);border:1px solid var(--line);border-radius:8px}
.notice{border-left:5px solid var(--warn)}
.notice ul{margin:.4rem 0 0;padding-left:1.2rem}
.actions{display:flex;flex-wrap:wrap;gap:.6rem 1.5rem;align-items:end}
.actions h2,.actions>p{width:100%}
.actions form{display:flex;flex-wrap:wrap;gap:.5rem;align-items:end}
#run{display:none}
#said:empty{display:none}
label{font-size:.875rem;color:var(--quiet)}
input,select,button{font:inherit;color:inherit;padding:.35rem .6rem;border:1px solid var(--quiet);border-radius:6px;background:var(--bg)}
button{font-weight:600;cursor:pointer}
button.danger{color:var(--fail);border-color:var(--fail)}
button.small{padding:.1rem .5rem;font-size:.875rem;font-weight:400}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
body[data-off=true] .when-on,body[data-off=false] .when-off,body[data-held=false] .when-held{display:none}
#link{position:sticky;top:0;z-index:1;padding:.6rem 1.25rem;background:var(--fail);color:var(--bg);font-weight:600}
body.lost main,body.lost header{opacity:.6}
footer{padding-bottom:2rem}
@media(max-width:62rem){.probe{grid-template-columns:1.4rem 1fr auto auto}.probe>div{grid-column:2/-1}.probe>div:nth-of-type(1){grid-column:2}.probe>button{grid-column:3;grid-row:1}.probe>details{grid-column:4;grid-row:1}.probe>details[open]{grid-row:auto}}
@media(max-width:30rem){.probe{grid-template-columns:1.4rem 1fr auto}.probe>div:nth-of-type(1){grid-column:2/-1}.probe>button,.probe>details{grid-column:auto;grid-row:auto}.probe>button{grid-column:2;justify-self:start}h1{font-size:2rem}header,main,footer{padding-left:.75rem;padding-right:.75rem}.filter{margin-left:0}.filter input{width:100%}.actions form,.actions label,.actions input,.actions select{width:100%}}
@media(prefers-reduced-motion:no-preference){.probe{transition:background .3s}}
`;

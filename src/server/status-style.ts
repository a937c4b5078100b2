/** The status page's only style sheet: allowed by its hash, so that no other can be brought in. */
export const STATUS_STYLE = `
:root{color-scheme:light dark;--text:#1d1f23;--quiet:#565c66;--back:#fff;--line:#d5d9df;--card:#f6f7f9;--link:#0b57d0;--good:#1a7f37;--warn:#8a5a00;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--text:#e6e8eb;--quiet:#a9b1bd;--back:#15171a;--line:#3a3f47;--card:#1e2125;--link:#8ab4f8;--good:#6fcf85;--warn:#f0b95a;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:68rem;padding:1rem;font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;color:var(--text);background:var(--back)}
h1{font-size:1.05rem;margin:0}
h2{font-size:1.05rem;margin:0 0 .5rem}
h3{font-size:.95rem;margin:1.25rem 0 .25rem}
p{margin:.25rem 0}
a{color:var(--link)}
code,.mono{font:.92em/1.5 ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.quiet{color:var(--quiet)}
header{display:flex;flex-wrap:wrap;gap:.25rem 1rem;align-items:baseline;justify-content:space-between;margin-bottom:.75rem}
.verdict{border:1px solid var(--line);border-left:.5rem solid var(--tone);border-radius:.4rem;padding:.75rem 1rem;background:var(--card);margin-bottom:1rem}
.verdict strong{font-size:1.25rem;line-height:1.35;color:var(--tone)}
.good{--tone:var(--good)}.warn{--tone:var(--warn)}.bad{--tone:var(--bad)}
.state{color:var(--tone);font-weight:600}
.cards{display:grid;margin-bottom:1rem;grid-template-columns:repeat(auto-fit,minmax(min(23rem,100%),1fr));gap:1rem}
section{border:1px solid var(--line);border-radius:.4rem;padding:.9rem 1rem;margin-bottom:1rem;min-width:0}
.cards section{margin:0}
dl{display:grid;grid-template-columns:minmax(7rem,auto) 1fr;gap:.2rem .9rem;margin:0}
dt{color:var(--quiet)}
dd{margin:0;overflow-wrap:anywhere;min-width:0}
meter{width:100%;height:.7rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
th{color:var(--quiet);font-weight:600;white-space:nowrap}
.name code{overflow-wrap:break-word}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
summary{cursor:pointer;padding:.25rem 0}
.time,.id{white-space:nowrap}
footer{margin-top:1rem}
@media(max-width:44rem){
dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}
.rows thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.rows,.rows tbody,.rows tr,.rows td{display:block}
.rows tr{padding:.5rem 0;border-bottom:1px solid var(--line)}
.rows td{border:0;padding:0}
.rows td[data-name]::before{content:attr(data-name) ": ";color:var(--quiet)}
.number{text-align:left}
}
`

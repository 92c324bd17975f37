'use strict';
// Draws the figures of the page, in its colours, and lets the keyboard do what the mouse does.
(function () {
  const figures = JSON.parse(document.getElementById('figures').textContent);
  const config = {
    responsive: true, displaylogo: false, displayModeBar: true, showTips: false,
    modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d'],
  };

  // On paper; before it is printed, the page still has the colours of the screen.
  const paper = {
    ground: '#ffffff', panel: '#ffffff', ink: '#000000', soft: '#444444', line: '#bbbbbb',
    grid: '#dddddd', accent: '#000000',
  };
  const paperWidth = 680;
  let printing = false;

  // The colours of the page, which are those of its light, dark or printed form.
  function colours() {
    const style = getComputedStyle(document.documentElement);
    return (name) => (printing ? paper[name] : style.getPropertyValue('--' + name).trim());
  }

  function axes(layout) {
    return Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
  }

  function dressed(layout) {
    const colour = colours();
    const changes = {
      'paper_bgcolor': colour('ground'), 'plot_bgcolor': colour('ground'),
      'font.color': colour('ink'), 'font.size': 12,
      'hoverlabel.bgcolor': colour('panel'), 'hoverlabel.bordercolor': colour('line'),
      'hoverlabel.font.color': colour('ink'), 'hoverlabel.align': 'left',
      'modebar.color': colour('soft'), 'modebar.activecolor': colour('accent'),
      'modebar.bgcolor': 'rgba(0,0,0,0)', 'legend.bgcolor': 'rgba(0,0,0,0)',
    };
    for (const axis of axes(layout)) {
      changes[axis + '.gridcolor'] = colour('grid');
      changes[axis + '.zerolinecolor'] = colour('soft');
      changes[axis + '.linecolor'] = colour('line');
      changes[axis + '.showline'] = true;
    }
    return changes;
  }

  // Plotly's legend knows the mouse alone.
  function focusableLegend(plot) {
    for (const entry of plot.querySelectorAll('.legend .traces')) {
      if (entry.getAttribute('role') === 'button') continue;
      entry.setAttribute('role', 'button');
      entry.setAttribute('tabindex', '0');
      entry.setAttribute('aria-label', entry.__data__[0].trace.name);
      entry.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        event.stopPropagation();
        const trace = entry.__data__[0].trace;
        const shown = trace.visible === true ? 'legendonly' : true;
        const group = plot.data.map((each, index) => index).filter((index) =>
          index === trace.index || (trace.legendgroup && plot.data[index].legendgroup === trace.legendgroup));
        Plotly.restyle(plot, { visible: shown }, group).then(() => {
          const again = [...plot.querySelectorAll('.legend .traces')]
            .find((each) => each.__data__[0].trace.index === trace.index);
          if (again) again.focus();
        });
      });
    }
    for (const entry of plot.querySelectorAll('.legend .traces')) {
      entry.setAttribute('aria-pressed', entry.__data__[0].trace.visible === true);
    }
  }

  function moved(plot, factor, share) {
    const [low, high] = plot.layout.xaxis.range.map(Number);
    const middle = (low + high) / 2 + share * (high - low);
    const half = factor * (high - low) / 2;
    Plotly.relayout(plot, { 'xaxis.range': [middle - half, middle + half] });
  }

  const actions = {
    in: (plot) => moved(plot, 0.5, 0), out: (plot) => moved(plot, 2, 0),
    earlier: (plot) => moved(plot, 1, -0.25), later: (plot) => moved(plot, 1, 0.25),
    png: (plot) => Plotly.downloadImage(plot, { format: 'png', scale: 2, filename: plot.dataset.name }),
  };
  const keys = { '+': 'in', '=': 'in', '-': 'out', ArrowLeft: 'earlier', ArrowRight: 'later', 0: 'all' };

  const plots = [...document.querySelectorAll('.plot')];
  const drawn = plots.map((plot) => {
    const figure = figures[plot.dataset.figure];
    const whole = figure.layout.xaxis.range && [...figure.layout.xaxis.range];
    const act = (name) => {
      if (name !== 'all') actions[name](plot);
      else Plotly.relayout(plot, whole ? { 'xaxis.range': whole } : { 'xaxis.autorange': true });
    };
    for (const button of plot.parentElement.querySelectorAll('.tools button')) {
      button.addEventListener('click', () => act(button.dataset.action));
    }
    plot.addEventListener('keydown', (event) => {
      if (event.target !== plot || event.ctrlKey || event.metaKey || !(event.key in keys)) return;
      event.preventDefault();
      act(keys[event.key]);
    });
    const options = { ...config, toImageButtonOptions: { format: 'png', scale: 2, filename: plot.dataset.name } };
    return Plotly.newPlot(plot, figure.data, figure.layout, options)
      .then(() => Plotly.relayout(plot, dressed(figure.layout)))
      .then(() => {
        plot.on('plotly_afterplot', () => focusableLegend(plot));
        focusableLegend(plot);
      });
  });

  function dressAll(size) {
    for (const plot of plots) Plotly.relayout(plot, { ...dressed(plot.layout), ...size });
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => dressAll({}));
  addEventListener('beforeprint', () => {
    printing = true;
    dressAll({ width: paperWidth });
  });
  addEventListener('afterprint', () => {
    printing = false;
    dressAll({ width: null, autosize: true });
  });
  Promise.all(drawn).then(() => document.documentElement.setAttribute('data-drawn', plots.length));
})();

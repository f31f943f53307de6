// What is wrong with how the cards of a page are laid out and coloured, as a list of sentences; none is right.
(selector) => {
  const found = [];
  const say = (what, where) => found.push(`${what}: ${where.slice(0, 60)}`);
  const channels = (colour) => {
    const parts = colour.match(/[\d.]+/g).map(Number);
    const scale = colour.startsWith("color(") ? 255 : 1;
    return { rgb: parts.slice(0, 3).map((one) => one * scale), alpha: parts.length > 3 ? parts[3] : 1 };
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((one) => one / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [a, b] = [luminance(one), luminance(other)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const ground = (element) => {  // what is behind an element, layer over layer
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.alpha > 0) layers.push(colour);
      if (colour.alpha === 1) break;
    }
    return layers.reduceRight((under, { rgb, alpha }) => rgb.map((c, i) => c * alpha + under[i] * (1 - alpha)),
      [255, 255, 255]);
  };
  const cards = [...document.querySelectorAll(selector)];
  if (cards.length === 0) found.push("no card at all");
  for (const card of cards) {
    const inside = card.getBoundingClientRect();
    const name = card.textContent.replace(/^[\s\S]*?\}(?=[^}]*$)/, "").trim();
    if (inside.width < 200 || inside.height < 20) say("not shown", name);
    const its = ground(card).join();
    const behind = ground(card.parentElement);
    if (card.scrollWidth > card.clientWidth + 1) say(`wider than its card by ${card.scrollWidth - card.clientWidth}`, name);
    const walker = document.createTreeWalker(card, NodeFilter.SHOW_TEXT);
    const boxes = [];
    while (walker.nextNode()) {
      const node = walker.currentNode;
      const parent = node.parentElement;
      if (!node.data.trim() || parent.closest("style,title")) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const rects = [...range.getClientRects()].filter((one) => one.width > 0 && one.height > 0);
      const words = node.data.trim();
      if (rects.length === 0) { say("not shown", words); continue; }
      const style = getComputedStyle(parent);
      const ratio = contrast(channels(style.color).rgb, ground(parent));
      if (ratio < 4.5) say(`contrast ${ratio.toFixed(1)}`, words);
      if (parseFloat(style.fontSize) < 11) say(`letters of ${style.fontSize}`, words);
      const cell = parent.closest("td,th");
      const box = (cell || card).getBoundingClientRect();
      for (const one of rects) {
        if (one.left < box.left - 1 || one.right > box.right + 1) say(`out of its ${cell ? "cell" : "card"}`, words);
        if (one.left < inside.left || one.right > inside.right) say("past the border", words);
        boxes.push([one, node, words]);
      }
      for (let at = parent; at !== card.parentElement; at = at.parentElement) {
        const cut = getComputedStyle(at);
        if (cut.overflowX !== "visible" && at !== card && at.scrollWidth > at.clientWidth + 1) say("cut off", words);
        if (cut.overflowY === "hidden" && at.scrollHeight > at.clientHeight + 1) say("cut off below", words);
      }
    }
    for (const bar of card.querySelectorAll("[class~=m-bar],[class~=m-bar-over],[class~=m-track]")) {
      const one = bar.getBoundingClientRect();
      if (one.width < 90 || one.height < 8) say(`a bar of ${one.width} by ${one.height}`, bar.parentElement.textContent);
      boxes.push([one, bar, "a bar"]);
      const left = bar.firstElementChild;
      if (left === null) continue;
      const share = parseFloat(left.style.width);
      const drawn = 100 * left.getBoundingClientRect().width / bar.clientWidth;
      if (Math.abs(drawn - share) > 2) say(`${drawn}% drawn for ${share}%`, bar.parentElement.textContent);
      if (contrast(ground(left), ground(bar)) < 1.5) say("a bar without colour", bar.parentElement.textContent);
    }
    boxes.sort((one, other) => one[0].top - other[0].top);
    boxes.forEach(([one, node, words], index) => {
      for (const [other, its, more] of boxes.slice(index + 1)) {
        if (other.top > one.bottom) break;
        const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
        const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
        if (node !== its && across > 1 && down > 4) say("overprinted", `${words} / ${more}`);
      }
    });
    for (const cell of card.querySelectorAll("td,th")) {
      const style = getComputedStyle(cell);
      const words = cell.textContent;
      if (!["left", "start"].includes(style.textAlign)) say(`aligned ${style.textAlign}`, words);
      if (style.verticalAlign !== "top") say(`aligned ${style.verticalAlign}`, words);
      if (style.borderTopStyle !== "solid" || channels(style.borderTopColor).alpha === 0) say("no line above", words);
      if (ground(cell).join() !== its) say("another ground", words);
      const first = cell.getBoundingClientRect().left + parseFloat(style.paddingLeft);
      const box = boxes.filter(([, node]) => cell.contains(node)).map(([one]) => one.left);
      if (box.length && Math.abs(Math.min(...box) - first) > 3) say("not at the left", words);
    }
    for (const item of card.querySelectorAll("ul > li"))
      if (getComputedStyle(item).listStyleType !== "none") say("a bullet", item.textContent);
    if (its !== behind.join() && parseFloat(getComputedStyle(card).borderTopWidth) < 1) say("no border", name);
  }
  return [...new Set(found)];
}

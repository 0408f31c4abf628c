/** Words that change the valence of the words after them. */
export interface Modifiers {
  readonly negations: ReadonlySet<string>;
  readonly boosters: ReadonlySet<string>;
  readonly dampers: ReadonlySet<string>;
  readonly contrasts: ReadonlySet<string>;
}

/** Per language: negations / boosters / dampers / contrasts, each a list of words. */
const WORDS: Readonly<Record<string, readonly [string, string, string, string]>> = {
  en: [
    "not no never neither nor none nobody nothing nowhere without cannot cant dont doesnt didnt wont isnt arent wasnt werent couldnt wouldnt shouldnt hasnt havent aint n't hardly barely rarely scarcely",
    'very really so extremely absolutely totally completely incredibly super highly most especially fucking damn freaking quite too remarkably utterly',
    'slightly somewhat kinda sorta partly barely marginally occasionally bit little',
    'but however although though except',
  ],
  de: [
    'nicht kein keine keinen keinem keiner keines nie niemals nichts ohne weder kaum',
    'sehr echt wirklich total extrem absolut so besonders richtig völlig unglaublich mega zu',
    'etwas bisschen ziemlich leicht',
    'aber jedoch doch sondern',
  ],
  fr: [
    'pas ne jamais rien aucun aucune sans ni non plus',
    'très vraiment trop tellement si extrêmement absolument super totalement',
    'peu assez légèrement',
    'mais cependant pourtant',
  ],
  es: [
    'no nunca jamás nada ningún ninguna ninguno sin ni tampoco',
    'muy realmente tan extremadamente súper totalmente demasiado bastante',
    'poco algo ligeramente',
    'pero sino aunque',
  ],
  it: [
    'non mai niente nulla nessun nessuno nessuna senza né mica',
    'molto davvero così estremamente veramente troppo tanto assolutamente',
    'poco abbastanza leggermente',
    'ma però tuttavia',
  ],
  pt: [
    'não nunca jamais nada nenhum nenhuma sem nem',
    'muito realmente tão extremamente super demais',
    'pouco',
    'mas porém',
  ],
  nl: [
    'niet geen nooit niets zonder nergens nauwelijks',
    'heel erg zeer echt zo super extreem te',
    'beetje enigszins',
    'maar echter',
  ],
  da: ['ikke ingen aldrig intet uden', 'meget virkelig så rigtig', 'lidt', 'men'],
  sv: ['inte ingen aldrig inget utan icke', 'mycket verkligen så väldigt riktigt', 'lite', 'men'],
  no: ['ikke ingen aldri intet uten', 'veldig virkelig så svært', 'litt', 'men'],
  fi: ['ei en et emme ette eivät älä ilman', 'erittäin todella hyvin tosi niin', 'hieman vähän', 'mutta'],
  is: ['ekki enginn aldrei engin án', 'mjög virkilega svo', 'smá', 'en'],
  et: ['ei mitte ära pole ilma', 'väga tõesti nii', 'veidi', 'aga kuid'],
  pl: ['nie nigdy nic żaden bez ani', 'bardzo naprawdę tak zbyt strasznie', 'trochę', 'ale jednak'],
  cs: ['ne není nikdy nic žádný bez ani', 'velmi opravdu moc tak', 'trochu', 'ale'],
  sk: ['nie nikdy nič žiadny bez ani', 'veľmi naozaj tak', 'trochu', 'ale'],
  sl: ['ne ni nikoli nič brez', 'zelo res tako', 'malo', 'ampak toda'],
  sr: ['ne nije nikad ništa bez nisam nema', 'veoma jako stvarno vrlo tako', 'malo', 'ali'],
  bg: ['не няма никога нищо без', 'много наистина толкова', 'малко', 'но'],
  ru: ['не нет никогда ничего без ни', 'очень действительно так слишком совсем', 'немного', 'но однако'],
  uk: ['не ні ніколи нічого без', 'дуже справді так', 'трохи', 'але'],
  el: ['δεν δε μη μην ποτέ τίποτα χωρίς όχι', 'πολύ πραγματικά τόσο', 'λίγο', 'αλλά'],
  hu: ['nem ne soha semmi nincs nélkül', 'nagyon igazán olyan', 'kicsit', 'de'],
  ro: ['nu niciodată nimic fără', 'foarte chiar atât', 'puțin', 'dar însă'],
  tr: ['değil yok hiç asla', 'çok gerçekten en', 'biraz', 'ama fakat'],
  id: ['tidak bukan jangan tak belum tanpa', 'sangat sekali benar', 'sedikit', 'tapi tetapi'],
  vi: ['không chưa chẳng đừng', 'rất quá lắm', 'hơi', 'nhưng'],
  ar: ['لا لن لم ليس ليست غير بدون ما', 'جدا جداً حقا للغاية', 'قليلا', 'لكن ولكن'],
  fa: ['نه نیست هیچ بدون هرگز', 'خیلی واقعا بسیار', 'کمی', 'اما ولی'],
  he: ['לא אין אף בלי אל', 'מאוד ממש כל', 'קצת', 'אבל'],
  zh: ['不 没 没有 别 不是 无 不会 不能 未', '很 非常 太 真 特别 十分 超', '有点', '但是 但 不过 可是'],
  ja: ['ない ず ません ぬ', 'とても 本当に すごく 非常', '少し ちょっと', 'しかし でも'],
};

const setOf = (list: string) => new Set(list.split(' '));
const NONE: Modifiers = { negations: new Set(), boosters: new Set(), dampers: new Set(), contrasts: new Set() };

const compiled: ReadonlyMap<string, Modifiers> = new Map(
  Object.entries(WORDS).map(([language, [negations, boosters, dampers, contrasts]]) => [
    language,
    {
      negations: setOf(negations),
      boosters: setOf(boosters),
      dampers: setOf(dampers),
      contrasts: setOf(contrasts),
    },
  ]),
);

export const modifiersOf = (language: string): Modifiers => compiled.get(language) ?? NONE;

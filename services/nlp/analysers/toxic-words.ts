import { createRequire } from 'node:module';
import { cuss as englishWords } from 'cuss';
import { cuss as spanish } from 'cuss/es';
import { cuss as french } from 'cuss/fr';
import { cuss as italian } from 'cuss/it';
import { cuss as portuguese } from 'cuss/pt';

// WARNING: this file holds offensive words; they are what the analyser looks for.

const require = createRequire(import.meta.url);
const { profaneWords } = require('@2toad/profanity/dist/data/profane-words.js') as {
  profaneWords: ReadonlyMap<string, readonly string[]>;
};

/** `cuss` (MIT) rates how sure it is that a word is meant profanely: 0 unlikely, 1 maybe, 2 likely. */
const WEIGHT_OF_RATING = [0, 0.2, 0.6] as const;
/** Words that only the second list (MIT) has. */
const WEIGHT_OF_LISTED = 0.5;

const RATED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  en: englishWords,
  es: spanish,
  fr: french,
  it: italian,
  pt: portuguese,
};

/**
 * Where chat with a bot is rougher, or milder, than the lists assume: weight, then the words. Names of groups of people
 * carry no weight: to speak of them is no offence.
 */
const CHAT_WEIGHTS: readonly (readonly [number, string])[] = [
  [
    0.7,
    'bitch bitches cunt whore slut slag faggot nigger motherfucker cocksucker asshole bastard twat wanker retard retarded scum fuck fucker fucking fucked fuckin',
  ],
  [
    0.6,
    'idiot moron stupid dumb dumbass imbecile loser pathetic ugly shit bullshit shitty crap dick cock pussy tits boobs penis vagina sex sexy sexual porn horny naked nude nudes orgasm masturbate anal blowjob dildo erect cum rape rapist nazi pedo pervert suck sucks sucking jerk pig slave submissive bugger shag screw',
  ],
  [
    0.35,
    'bloody hell damn wtf stfu fat annoying useless rude garbage trash kiss lick hate kill die murder stab hot bra virgin wet shoot',
  ],
  [
    0,
    'adult africa african american arab arabs balls bigger black blacks blind bomb bombs brothel catholic chinese christian church color colored crime criminal desire drink drunk dyke enemy escort european execution failed failure fat fight fire gay german girls god gun heaven hindu homosexual interracial israel jade jesus jew jewish laugh lesbian lies limy literature lotion mexican moles muslim no nude pansy period poverty primetime queer race refugee roach shooting sick soviet special spy strapped taboo taff terror threat toilet transgender trots turd uk vietnamese violence weapon white women',
  ],
];

/** Ordinary words that the lists hold all the same. */
const MISTAKEN: Readonly<Record<string, readonly string[]>> = {
  en: 'redskins redskin willie sucker geez jeez fu honky dong dope dix ho wang pawn tang chug pom poms bule spit gummer swallower'.split(
    ' ',
  ),
  pt: 'não mais vamos miúdo claire amigos'.split(' '),
  fr: 'pour les boules aide'.split(' '),
  es: ['palo'],
  de: ['fehler'],
  ru: ['полный'],
  ar: ['دولار', 'الرهن', 'حانة', 'سيدي'],
};

const cache = new Map<string, ReadonlyMap<string, number>>();

function listed(language: string): Map<string, number> {
  const words = new Map<string, number>();
  const rated = RATED[language] ?? {};
  for (const word of profaneWords.get(language) ?? []) {
    // Two letters of a foreign list are too often an ordinary word elsewhere.
    if (!(word in rated) && word.length > 2) words.set(word, WEIGHT_OF_LISTED);
  }
  for (const [word, rating] of Object.entries(rated)) words.set(word, WEIGHT_OF_RATING[rating as 0 | 1 | 2] ?? 0);
  return words;
}

/** English words that chat in other languages borrows, and that mean nothing else there. */
const BORROWED = 'fuck fucking fucked fucker motherfucker bitch asshole bullshit'.split(' ');
const WEIGHT_OF_BORROWED = 0.7;

/** Words of a language that may offend, each with its weight. */
export function toxicWords(language: string): ReadonlyMap<string, number> {
  const known = cache.get(language);
  if (known) return known;
  const english = language === 'en' || language === 'und';
  const words = listed(english ? 'en' : language);
  if (english) {
    for (const [weight, list] of CHAT_WEIGHTS) for (const word of list.split(' ')) words.set(word, weight);
  } else {
    for (const word of BORROWED) words.set(word, WEIGHT_OF_BORROWED);
  }
  for (const word of MISTAKEN[language] ?? []) words.delete(word);
  cache.set(language, words);
  return words;
}

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { analyse } from '../analyser.ts';
import { schemaValidator } from '../testing/api-schema.ts';
import { findEntities } from './entities.ts';
import { identifyLanguage } from './language.ts';

const isResult = schemaValidator('Result');

describe('language', () => {
  it.each([
    ['en', 'I would like to know where my parcel is'],
    ['en', 'ok thanks'],
    ['en', 'yes please'],
    ['de', 'Können Sie mir bitte die Rechnung schicken?'],
    ['de', 'danke schön'],
    ['fr', "Je voudrais annuler ma commande s'il vous plaît"],
    ['es', '¿Dónde está mi pedido?'],
    ['it', 'Vorrei prenotare un tavolo per due persone'],
    ['pt', 'Não consigo entrar na minha conta'],
    ['nl', 'Ik kan niet inloggen op mijn rekening'],
    ['pl', 'Chciałbym zwrócić ten produkt'],
    ['ru', 'Здравствуйте, где мой заказ?'],
    ['tr', 'Siparişim nerede kaldı, çok bekledim'],
    ['ar', 'أريد أن أعرف رصيد حسابي'],
    ['zh', '请问我的包裹在哪里？'],
    ['ja', '荷物はどこですか？'],
    ['ko', '제 소포는 어디에 있나요?'],
    ['th', 'พัสดุของฉันอยู่ที่ไหน'],
    ['el', 'Πού είναι το δέμα μου;'],
    ['he', 'איפה החבילה שלי?'],
    ['kk', 'Менің тапсырысым қайда?'],
    ['id', 'Saya ingin tahu di mana paket saya berada'],
  ])('%s: %s', (code, text) => {
    expect(identifyLanguage(text).code).toBe(code);
  });

  it('is und without letters, however much else there is', () => {
    for (const text of ['', '   ', '12345', '?!', '😀😀', '\u0000\u0007']) {
      expect(identifyLanguage(text)).toEqual({ code: 'und', confidence: 0 });
    }
  });

  it('is surer of a long text than of a short one', () => {
    const short = identifyLanguage('Rechnung');
    const long = identifyLanguage('Ich habe die Rechnung für den letzten Monat noch immer nicht bekommen.');
    expect(long.confidence).toBeGreaterThan(short.confidence);
  });

  it('trusts a hint only where the text does not tell', () => {
    expect(identifyLanguage('no', 'es').code).toBe('es');
    expect(identifyLanguage('no').code).toBe('en');
    expect(identifyLanguage('Please cancel my order as soon as you can', 'de').code).toBe('en');
    expect(identifyLanguage('42', 'pt-BR').code).toBe('pt');
  });
});

describe('sentiment', () => {
  const label = (text: string) => analyse(text).sentiment.label;
  const score = (text: string) => analyse(text).sentiment.score;

  it.each([
    ['positive', 'I love this, it is wonderful'],
    ['negative', 'This is a terrible mess and I hate it'],
    ['neutral', 'The train leaves at nine from platform four'],
    ['positive', 'Das ist wunderbar, ich bin sehr glücklich'],
    ['negative', 'Das ist schrecklich und ich hasse es'],
    ['positive', "C'est magnifique, j'adore ce restaurant"],
    ['negative', 'Es horrible, odio este servicio'],
    ['positive', '我很喜欢这家餐厅'],
    ['negative', 'Это ужасно, я ненавижу это'],
    ['positive', '😍😍'],
    ['negative', '😡'],
  ])('%s: %s', (expected, text) => {
    expect(label(text)).toBe(expected);
  });

  it('turns with negation, also in contractions and in other languages', () => {
    for (const [plain, negated] of [
      ['The service is good', 'The service is not good'],
      ['I like it', "I don't like it"],
      ['Das Essen ist gut', 'Das Essen ist nicht gut'],
    ] as const) {
      expect(score(plain)).toBeGreaterThan(0);
      expect(score(negated)).toBeLessThan(0);
    }
    expect(score('no problem, thanks')).toBeGreaterThan(0);
  });

  it('rises with boosters, capitals and exclamation marks, and falls with dampers', () => {
    const plain = score('the food was good');
    for (const stronger of ['the food was very good', 'the food was GOOD', 'the food was good!!!']) {
      expect(score(stronger)).toBeGreaterThan(plain);
    }
    expect(score('the food was somewhat good')).toBeLessThan(plain);
  });

  it('weighs what follows a "but" more', () => {
    expect(score('the room was lovely but the staff was horrible')).toBeLessThan(0);
    expect(score('the staff was horrible but the room was lovely')).toBeGreaterThan(0);
  });
});

describe('intent', () => {
  it.each([
    ['greeting', 'Good morning!'],
    ['greeting', 'heyyy'],
    ['greeting', 'hello Maria'],
    ['goodbye', 'ok thank you, bye'],
    ['thanks', 'thanks a lot for your help'],
    ['apology', "I'm so sorry"],
    ['confirmation', 'Yes, that is correct'],
    ['rejection', "no, that's not right"],
    ['rejection', 'No thanks'],
    ['question', 'What time does the shop close?'],
    ['request', 'Please send me the invoice'],
    ['request', 'Can you book a table for four?'],
    ['complaint', 'My order never arrived and I am still waiting'],
    ['inform', 'My account number is 4711'],
    ['unknown', '...'],
    ['greeting', 'Guten Morgen'],
    ['thanks', 'Vielen Dank'],
    ['goodbye', 'Auf Wiedersehen'],
    ['rejection', 'Nein danke'],
    ['request', 'Könnten Sie mir helfen'],
    ['question', 'Où est ma commande ?'],
    ['confirmation', 'Sí, claro'],
    ['thanks', 'Grazie mille'],
    ['request', 'Ik wil graag een tafel reserveren'],
    ['greeting', 'Привет'],
    ['thanks', '谢谢你'],
    ['question', '这家酒店的电话是多少？'],
    ['thanks', 'ありがとうございます'],
    ['question', 'أين طلبي؟'],
  ])('%s: %s', (name, text) => {
    expect(analyse(text).intent.name).toBe(name);
  });

  it('takes a courtesy in a long message for what it is', () => {
    expect(analyse('Hello, I want to change the address of my last order').intent.name).toBe('request');
    expect(analyse('Thanks, but where can I find the receipt?').intent.name).toBe('question');
  });
});

describe('toxicity', () => {
  const score = (text: string) => analyse(text).toxicity.score;

  it('flags insults, threats, masked and disguised words, in several languages', () => {
    for (const text of ['you are an idiot', 'I will kill you', 'f**k off', 'you are full of sh1t', 'stuuupid bitch']) {
      expect([text, score(text) >= 0.5]).toEqual([text, true]);
    }
    for (const text of ['du bist ein arschloch', 'eres una puta', 'va te faire foutre', 'sei uno stronzo']) {
      expect([text, score(text) >= 0.5]).toEqual([text, true]);
    }
  });

  it('leaves ordinary words alone', () => {
    for (const text of [
      'Where is my parcel?',
      'My flight 455 leaves at 5',
      'In welcher Gegend ist das?',
      'Ho bisogno di un tavolo',
      'The gay couple next door has two children',
      'I visited Scunthorpe and Essex',
    ]) {
      expect([text, score(text) < 0.5]).toEqual([text, true]);
    }
  });

  it('is worse when aimed at the listener than at oneself', () => {
    expect(score('you are so stupid')).toBeGreaterThan(score('i am so stupid'));
  });
});

describe('entities', () => {
  const found = (text: string, language = 'en') =>
    findEntities(text, language).map(({ type, text: written }) => `${type}:${written}`);

  it('finds what has a form, in any language', () => {
    expect(found('Schreib an a.b@example.org oder https://example.org/x?y=1, bis 3.4.2025 um 18:30', 'de')).toEqual([
      'email:a.b@example.org',
      'url:https://example.org/x?y=1',
      'date:3.4.2025',
      'time:18:30',
    ]);
    expect(found('20 € und 15 % auf #sale von @shop', 'de')).toEqual([
      'money:20 €',
      'percent:15 %',
      'hashtag:#sale',
      'mention:@shop',
    ]);
    expect(found('order #A1234, call +49 30 1234 5678 👍🏽')).toEqual([
      'reference:#A1234',
      'phone:+49 30 1234 5678',
      'emoji:👍🏽',
    ]);
  });

  it('finds English dates, times, sums and numbers in words', () => {
    expect(found('Three tickets for next Friday at 5pm, ten dollars each')).toEqual(
      expect.arrayContaining(['number:Three', 'date:next Friday', 'time:5pm']),
    );
  });

  it('gives offsets that cut out the entity, none overlapping', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 200 }),
        fc.constantFrom('en', 'de', 'zh'),
        (text, language) => {
          let last = 0;
          for (const { start, end, text: written } of findEntities(text, language)) {
            expect(text.slice(start, end)).toBe(written);
            expect(start).toBeGreaterThanOrEqual(last);
            last = end;
          }
        },
      ),
    );
  });
});

describe('topics', () => {
  it.each([
    ['banking', 'My bank account shows a wrong balance'],
    ['food', 'I am looking for a cheap restaurant'],
    ['travel', 'book two flights to Rome'],
    ['weather', 'Regnet es morgen? Wie wird das Wetter'],
    ['music', '播放一首歌曲'],
    ['delivery', 'Où est mon colis ?'],
  ])('%s: %s', (topic, text) => {
    expect(analyse(text).topics).toContain(topic);
  });

  it('names at most three, and none for small talk', () => {
    expect(analyse('hotel flight weather music football doctor').topics).toHaveLength(3);
    expect(analyse('how are you').topics).toEqual([]);
  });
});

describe('analyse', () => {
  it('answers any text at all in the shape of the API, the same each time', () => {
    const anyText = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)), maxLength: 300 }),
    );
    fc.assert(
      fc.property(anyText, (text) => {
        const analysis = analyse(text);
        expect(isResult({ id: 'x', ...analysis })).toBe(true);
        expect(analyse(text)).toEqual(analysis);
      }),
      { numRuns: 500 },
    );
  });
});

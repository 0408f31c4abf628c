import type { Phrases } from './phrases.ts';

export const GERMAN: Phrases = {
  language: 'de',
  items: ['Kopfhörer', 'Regenjacke', 'Kaffeemaschine', 'Lampe'],
  days: ['Montag', 'Mittwoch', 'Freitag', 'Samstag'],
  hello: ['Hallo', 'Guten Tag', 'Moin!', 'Guten Abend, ich habe eine Frage'],
  welcome: ['Guten Tag, wie kann ich Ihnen helfen?', 'Hallo {name}, worum geht es?'],
  concerns: [
    {
      request: ['Wo bleibt meine Bestellung {order}?', 'Mein Paket sollte schon am {day} ankommen, wo ist es?'],
      question: ['Wohin soll das Paket geliefert werden?', 'Nennen Sie mir bitte Ihren Namen und die Stadt.'],
      detail: ['Nach {city}, auf den Namen {name}.', '{name}, {city}.'],
      solution: ['Danke. Das Paket ist unterwegs und kommt am {day} in {city} an.'],
    },
    {
      request: ['Ich möchte die Ware zurückgeben: {item}.', 'Das ist leider kaputt angekommen ({item}), was nun?'],
      question: ['Das tut mir leid. Wie lautet die Bestellnummer?'],
      detail: ['Die Nummer ist {order}.', 'Moment ... {order}.'],
      solution: ['Ich habe Ihnen einen Rücksendeschein geschickt. Das Geld kommt in drei Tagen zurück.'],
    },
    {
      request: ['Können Sie meinen Termin auf {day} verschieben?', 'Ich möchte den Termin am {day} absagen.'],
      question: ['Gerne. Um welche Filiale geht es?'],
      detail: ['Um die in {city}.'],
      solution: ['Erledigt, Sie bekommen gleich eine Bestätigung.'],
    },
  ],
  aside: {
    content: ['Das ging ja schnell, super!'],
    matter_of_fact: ['Gut.', 'In Ordnung.'],
    playful: ['haha, na dann 😄', 'Ich drücke uns die Daumen 🤞'],
    upset: ['Ich warte seit zwei Wochen und bin wirklich enttäuscht.', 'Das ist eine Frechheit 😡'],
    rude: ['So ein dämlicher Automat.', 'Sind Sie zu blöd zum Lesen?'],
  },
  soothing: ['Das verstehe ich gut, bitte entschuldigen Sie.', 'Einen Augenblick, ich sehe sofort nach.'],
  closing: {
    content: ['Vielen herzlichen Dank, das war sehr freundlich! 😊', 'Wunderbar, genau das wollte ich.'],
    matter_of_fact: ['Danke, das wäre alles.', 'Ok, tschüss.'],
    playful: ['Du bist der beste Roboter 🤖🎉'],
    upset: ['Das hilft mir überhaupt nicht weiter.', 'Hier bestelle ich nie wieder.'],
    rude: ['Was für ein Saftladen, lauter Idioten.'],
  },
  goodbye: ['Gern geschehen, einen schönen Tag noch!', 'Auf Wiedersehen, {name}!'],
  handover: ['Ich verbinde Sie mit einer Kollegin, einen Moment bitte.'],
  agent: ['Guten Tag {name}, hier schreibt ein Mensch. Ich kümmere mich heute noch darum.'],
};

export const FRENCH: Phrases = {
  language: 'fr',
  items: ['le casque audio', 'la veste', 'la cafetière', 'la lampe'],
  days: ['lundi', 'mercredi', 'vendredi', 'samedi'],
  hello: ['Bonjour', 'Salut !', 'Bonsoir, une petite question'],
  welcome: ['Bonjour, comment puis-je vous aider ?', 'Bonjour {name}, que puis-je faire pour vous ?'],
  concerns: [
    {
      request: ['Où est ma commande {order} ?', 'Mon colis devait arriver {day}, où est-il ?'],
      question: ['À quelle adresse doit-il être livré ?', 'Pouvez-vous me donner votre nom et votre ville ?'],
      detail: ['À {city}, au nom de {name}.', '{name}, j’habite à {city}.'],
      solution: ['Merci. Le colis est en route et arrivera {day} à {city}.'],
    },
    {
      request: ['Je voudrais renvoyer un article : {item}.', 'Je veux être remboursé, tout est arrivé cassé.'],
      question: ['Je suis désolé. Quel est le numéro de la commande ?'],
      detail: ['C’est le numéro {order}.'],
      solution: ['Je vous ai envoyé une étiquette de retour, le remboursement prend trois jours.'],
    },
    {
      request: ['Je voudrais réserver une table pour deux {day} soir.', 'Il faut annuler mon rendez-vous de {day}.'],
      question: ['Bien sûr. Dans quelle ville ?'],
      detail: ['À {city}, s’il vous plaît.'],
      solution: ['C’est fait, {name}. Vous recevrez une confirmation.'],
    },
  ],
  aside: {
    content: ['Très bien, c’est rapide !'],
    matter_of_fact: ['D’accord.', 'Bon.'],
    playful: ['haha d’accord 😄', 'Je croise les doigts 🤞'],
    upset: ['J’attends depuis deux semaines, je suis vraiment déçue.', 'C’est inadmissible 😡'],
    rude: ['Quel service stupide.', 'Vous êtes un robot complètement idiot.'],
  },
  soothing: ['Je comprends, veuillez nous excuser.', 'Un instant, je vérifie tout de suite.'],
  closing: {
    content: ['Merci beaucoup, vous êtes formidable ! 😊', 'Parfait, c’est exactement ce que je voulais.'],
    matter_of_fact: ['Merci, c’est tout.', 'D’accord, au revoir.'],
    playful: ['Vive les robots 🤖🎉'],
    upset: ['Cela ne m’aide pas du tout.', 'Je ne commanderai plus jamais ici.'],
    rude: ['Quelle boutique minable, bande d’imbéciles.'],
  },
  goodbye: ['Avec plaisir, bonne journée !', 'Au revoir, {name} !'],
  handover: ['Je vous passe une collègue, un instant s’il vous plaît.'],
  agent: ['Bonjour {name}, je suis une vraie personne et je m’en occupe aujourd’hui.'],
};

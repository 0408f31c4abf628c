/**
 * Chat phrases by language and dialogue act, lower case, separated by `|`. English stands first: where a phrase belongs
 * to several languages (`hallo`, `ok`), the first listed wins unless a hint says otherwise.
 */
export const PHRASES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  en: {
    greeting:
      "hi|hii|hiii|hello|helo|hey|heya|hey there|hi there|hello there|good morning|good afternoon|good evening|good day|greetings|howdy|yo|what's up|whats up|sup|how are you|how are you doing|nice to meet you|hai|hlo|helloo|happy morning|morning|gud morning|gud mrng|good mrng|gm|hello again|how's it going|how are things|how is everything|how's everything|how have you been|nice to see you|anyone there|are you there|ahoy|wassup|how do you do|aloha|salutations|heyo|what's going on|what's happening|what's up with you|whats up with you|how is it going|how's it hanging|how ya been|how is life|how's life|how've you been|are you okay|are you doing alright|are you doing okay|hey hey|pleased to meet you|good to see you|say hi|say hello",
    goodbye:
      'bye|bye bye|goodbye|good bye|see you|see ya|see you later|take care|have a nice day|have a good day|have a great day|good night|cya|farewell|talk to you later|ttyl|have a good one|until next time|good byee|byebye|you too|enjoy your day|have a nice evening|have a great time|so long|catch you later|gotta go|i have to go|nice talking to you|it was nice talking to you|nice chatting with you|adios|sayonara|see you soon|see you around|talk later|talk soon|peace out|goodnight|have a amazing day|have an amazing day|have a wonderful day|have a lovely day|later gator|nice to talk to you|good to talk to you|good talking to you|nice to talk with you|it was nice|it was great talking|pleasure talking to you|it was a pleasure|great chatting with you|good chatting with you|nice chat|say goodbye|saying goodbye|be leaving now|get going|glad we got to talk|enjoyed talking to you',
    thanks:
      "thanks|thank you|thank u|thankyou|thanx|thx|ty|tysm|many thanks|thanks a lot|thank you so much|thank you very much|much appreciated|appreciate it|i appreciate|cheers|thanks so much|you've been very helpful|thanking you|thank you for your|thank you for|thanks for your|thanks for|thanks again|okthank you|okthanks|tq|grateful|i'm grateful|i am grateful|i am very grateful|obliged|much obliged|appreciated|is appreciated|really appreciate|want to thank you|big help|great help|thank goodness for you|tnx|for your help|for your time|for helping|thank|hank you|thank you a lot|i appreciate you|i'm thankful|gratitude|you're the best|you are the best|thanks for helping|thanks for helping out|i would like to thank you|let me thank you|can not thank you enough|can't thank you enough|you've been a big help|you have been a big help|thanks for answering",
    apology:
      "sorry|i'm sorry|im sorry|i am sorry|my bad|i apologize|i apologise|my apologies|apologies|excuse me|pardon|pardon me|forgive me|my mistake",
    confirmation:
      "yes|yes please|yeah|yea|yep|yup|ya|yess|sure|sure thing|of course|ok|okay|okey|k|kk|right|correct|that's right|that is right|that's correct|that is correct|exactly|absolutely|definitely|certainly|indeed|sounds good|perfect|great|alright|all right|fine|that works|confirmed|i confirm|i agree|agreed|go ahead|please do|that's fine|that would be great|done|got it|confirm|prefect|good|very good|cool|awesome|nice|hmm|true|that's true|that is true|it's true|it is true|very true|totally true|affirmative|positive|accurate|that's accurate|that is accurate|the truth|i do|i will|will do|yes sir|i'll wait|i will wait|no problem|roger|you bet|for sure|looks good|that's it|thats it|oh|makes sense|i understand|understood|i see|k sure|yessure|you are correct|you're correct|you are not wrong|you are right|you're right|accepted|approved|that's a yes|would be yes|is true|was correct|it's ok|its ok|that's ok|not false|that is not false|appears true",
    rejection:
      "no|nope|nah|naw|no thanks|no thank you|not really|not now|never mind|nevermind|i don't want|i do not want|i disagree|not at all|that's wrong|that is wrong|incorrect|no that's all|no that's it|that's all|that is all|nothing else|no need|don't|no more|nothing|nothing more|enough|that's enough|nopes|nothanks|thats all|no queries|negative|nay|false|that's false|that is false|is false|not true|that's not true|that is not true|not right|that's not right|that is not right|isn't right|isn't it|not correct|that's not correct|that is not correct|definitely not|absolutely not|certainly not|of course not|i don't think so|i think not|no way|inaccurate|wrong|totally wrong|erroneous|the answer is no|it's a no|that's a no|would be a no|say no|not that one|not that|not interested|i'm good|all set|nothing at all|i'll pass|ill pass|negatory|that's a negative|that's inaccurate|that's incorrect|that's completely false|that's actually wrong|isn't the right|to be false|saying no|no i don't|that isn't right",
    complaint:
      "complaint|complain|unacceptable|ridiculous|terrible service|not working|doesn't work|does not work|isn't working|is not working|stopped working|broken|still waiting|never arrived|hasn't arrived|not happy|very unhappy|disappointed|disappointing|frustrated|frustrating|waste of time|worst|fed up|rip off|ripped off|scam|overcharged|charged twice|wrong item|damaged|useless|awful service|poor service|i've been waiting|been waiting|i want a refund|keeps crashing|keeps failing|what a joke|file a complaint|make a complaint|lodge a complaint|consumer complaint|customer complaint|complaints|reclamation|file a claim against|lodge a claim|customer claim|consumer claim|terrible experience|bad experience|bad service|horrible service|not acceptable|i am angry|i'm angry|ripoff|so slow|never works|doesnt work|isnt working|can't believe",
    request:
      "please|can you|could you|would you|will you|can i|could i|may i|i want|i want to|i need|i need to|i would like|i'd like|i wanna|i'm looking for|i am looking for|looking for|help me|show me|tell me|give me|find me|let me|let's|i wish to|assist me",
    command:
      'find|book|reserve|set|play|add|order|cancel|send|remind|call|turn|schedule|change|update|show|tell|give|get|make|put|create|search|check|open|close|start|stop|delete|remove|rate|look up|look for|transfer|pay|buy|switch|wake|snooze|list|translate|recommend|suggest|connect|explain',
    question:
      "what|what's|whats|when|when's|where|where's|who|who's|whom|whose|which|why|how|how's|how much|how many|how long|is it|is there|are there|are you|do you|does it|did you|is|are|do|does|did|have you|has|can|could|would|should|will|was|were|don't you|isn't it|am i",
  },
  de: {
    greeting:
      'hallo|guten tag|guten morgen|guten abend|servus|moin|grüß gott|grüezi|hey|hi|wie geht es ihnen|wie gehts|wie geht es dir',
    goodbye:
      'tschüss|tschüß|auf wiedersehen|bis bald|bis später|bis dann|schönen tag|schönen tag noch|gute nacht|mach es gut|machs gut',
    thanks:
      'danke|danke schön|dankeschön|vielen dank|herzlichen dank|danke sehr|besten dank|ich danke ihnen|danke dir|tausend dank',
    apology: 'entschuldigung|entschuldige|entschuldigen sie|tut mir leid|es tut mir leid|verzeihung|sorry|mein fehler',
    confirmation:
      'ja|ja bitte|jawohl|genau|richtig|stimmt|in ordnung|okay|ok|klar|na klar|natürlich|sicher|gerne|passt|einverstanden|alles klar|selbstverständlich|das ist richtig|sehr gut|perfekt|super',
    rejection:
      'nein|nein danke|nee|nö|nicht wirklich|falsch|das ist falsch|das stimmt nicht|auf keinen fall|lieber nicht|keinesfalls|ich möchte nicht|ich will nicht|das war alles',
    complaint:
      'beschwerde|beschweren|funktioniert nicht|geht nicht|kaputt|defekt|enttäuscht|unverschämt|frechheit|unmöglich|warte immer noch|zum kotzen|schlechter service|nie angekommen|unzufrieden|inakzeptabel|lächerlich|betrug|abzocke',
    request:
      'bitte|können sie|kannst du|könnten sie|könntest du|ich möchte|ich will|ich brauche|ich hätte gern|ich hätte gerne|ich suche|zeig mir|zeigen sie mir|gib mir|geben sie mir|hilf mir|helfen sie mir|suche|finde|stelle|stell|spiele|spiel|buche|bestelle|erinnere mich|füge|mach|sag mir',
    question:
      'was|wann|wo|wer|wen|wem|wessen|welche|welcher|welches|welchen|warum|wieso|weshalb|wie|wie viel|wie viele|wohin|woher|gibt es|ist|sind|hat|haben sie|hast du|kann ich|darf ich|wird|werden|soll|muss ich',
  },
  fr: {
    greeting: 'bonjour|salut|bonsoir|coucou|allô|bonjour à tous|comment allez vous|comment ça va|ça va|enchanté',
    goodbye: 'au revoir|à bientôt|à plus|à plus tard|bonne journée|bonne soirée|bonne nuit|adieu|à demain',
    thanks:
      'merci|merci beaucoup|merci bien|je vous remercie|merci infiniment|mille mercis|un grand merci|je te remercie',
    apology:
      "désolé|désolée|je suis désolé|je suis désolée|pardon|excusez moi|excuse moi|toutes mes excuses|je m'excuse|navré",
    confirmation:
      "oui|oui merci|ouais|bien sûr|d'accord|ok|c'est ça|c'est exact|exactement|exact|tout à fait|parfait|volontiers|absolument|certainement|c'est bon|entendu|très bien",
    rejection:
      "non|non merci|pas du tout|pas vraiment|c'est faux|jamais de la vie|pas maintenant|je ne veux pas|c'est tout|pas d'accord",
    complaint:
      "réclamation|plainte|me plaindre|ne marche pas|ne fonctionne pas|en panne|cassé|inacceptable|déçu|déçue|scandaleux|honteux|j'attends toujours|jamais arrivé|arnaque|mauvais service|ridicule|nul",
    request:
      "s'il vous plaît|s'il te plaît|svp|pouvez vous|pourriez vous|peux tu|pourrais tu|je voudrais|je veux|j'ai besoin|j'aimerais|je cherche|aidez moi|aide moi|montrez moi|montre moi|donnez moi|donne moi|trouve|réserve|réservez|mets|ajoute|joue|rappelle moi|dis moi|puis je",
    question:
      "quoi|quand|où|qui|quel|quelle|quels|quelles|pourquoi|comment|combien|est ce que|est ce|qu'est ce|qu'est ce que|que|y a t il|avez vous|as tu|peut on|sont ils|est il",
  },
  es: {
    greeting:
      'hola|buenos días|buenas tardes|buenas noches|buenas|buen día|qué tal|cómo estás|cómo está|saludos|mucho gusto',
    goodbye:
      'adiós|hasta luego|hasta pronto|nos vemos|chao|chau|hasta mañana|que tenga un buen día|que tengas un buen día|hasta la vista',
    thanks:
      'gracias|muchas gracias|mil gracias|muchísimas gracias|te lo agradezco|se lo agradezco|gracias por todo|te agradezco',
    apology: 'perdón|lo siento|disculpa|disculpe|perdona|perdone|mis disculpas|lo lamento|mi culpa',
    confirmation:
      'sí|si|sí por favor|claro|claro que sí|por supuesto|vale|de acuerdo|correcto|exacto|exactamente|está bien|ok|perfecto|desde luego|así es|genial|muy bien',
    rejection:
      'no|no gracias|para nada|no es correcto|nunca|de ninguna manera|ahora no|no quiero|eso es todo|nada más|incorrecto|no estoy de acuerdo',
    complaint:
      'queja|quejarme|reclamo|reclamación|no funciona|roto|averiado|inaceptable|decepcionado|decepcionada|pésimo servicio|mal servicio|vergüenza|sigo esperando|nunca llegó|no ha llegado|estafa|ridículo|harto|harta',
    request:
      'por favor|puede|puedes|podría|podrías|quiero|quisiera|me gustaría|necesito|busco|estoy buscando|ayúdame|ayúdeme|muéstrame|dame|deme|dime|dígame|encuentra|reserva|pon|añade|agrega|reproduce|recuérdame',
    question:
      'qué|cuándo|dónde|quién|quiénes|cuál|cuáles|por qué|cómo|cuánto|cuánta|cuántos|cuántas|hay|es|está|tiene|tienes|puedo|a qué hora',
  },
  it: {
    greeting: 'ciao|buongiorno|buonasera|salve|buon pomeriggio|come stai|come sta|piacere|buon giorno|buona sera',
    goodbye:
      'arrivederci|addio|a presto|a dopo|buona giornata|buona serata|buonanotte|buona notte|ci vediamo|ciao ciao|a domani',
    thanks:
      'grazie|grazie mille|molte grazie|tante grazie|ti ringrazio|la ringrazio|grazie tante|vi ringrazio|grazie infinite',
    apology: 'scusa|scusi|mi dispiace|mi scusi|perdono|chiedo scusa|scusate|spiacente|colpa mia',
    confirmation:
      "sì|si|sì grazie|certo|certamente|va bene|d'accordo|esatto|esattamente|giusto|corretto|ok|perfetto|assolutamente|ovvio|volentieri|benissimo",
    rejection:
      'no|no grazie|per niente|sbagliato|non è corretto|assolutamente no|mai|non voglio|non ora|è tutto|nient altro',
    complaint:
      'reclamo|lamentarmi|lamentela|non funziona|rotto|guasto|inaccettabile|deluso|delusa|pessimo servizio|vergogna|sto ancora aspettando|mai arrivato|non è arrivato|truffa|ridicolo|stufo|stufa',
    request:
      'per favore|per piacere|puoi|può|potresti|potrebbe|vorrei|voglio|ho bisogno|cerco|sto cercando|aiutami|mi aiuti|mostrami|dammi|mi dia|dimmi|mi dica|trova|prenota|metti|aggiungi|riproduci|ricordami|avrei bisogno|mi serve|mi piacerebbe',
    question:
      "che|cosa|che cosa|quando|dove|chi|quale|quali|perché|come|quanto|quanta|quanti|quante|c'è|ci sono|è|qual è|qual|cos'è|dov'è|ha|hanno|posso|hai",
  },
  pt: {
    greeting: 'olá|oi|bom dia|boa tarde|boa noite|tudo bem|como vai|como está|e aí',
    goodbye: 'tchau|adeus|até logo|até mais|até amanhã|tenha um bom dia|até breve',
    thanks: 'obrigado|obrigada|muito obrigado|muito obrigada|valeu|agradeço|obrigado pela ajuda|obrigada pela ajuda',
    apology: 'desculpe|desculpa|me desculpe|perdão|sinto muito|lamento|foi mal',
    confirmation:
      'sim|claro|com certeza|certo|correto|isso|isso mesmo|está bem|tá bom|ok|perfeito|exatamente|exato|pode ser|beleza',
    rejection: 'não|não obrigado|não obrigada|de jeito nenhum|nunca|errado|agora não|não quero|é só isso|nada mais',
    complaint:
      'reclamação|reclamar|não funciona|quebrado|estragado|inaceitável|decepcionado|decepcionada|péssimo|ainda estou esperando|nunca chegou|não chegou|golpe|ridículo|vergonha',
    request:
      'por favor|pode|você pode|poderia|quero|gostaria|preciso|estou procurando|procuro|me ajude|me mostre|me dê|me diga|encontre|reserve|toque|adicione|lembre me',
    question:
      'o que|que|quando|onde|quem|qual|quais|por que|porque|como|quanto|quanta|quantos|quantas|há|tem|é|está|posso',
  },
  nl: {
    greeting: 'hallo|hoi|goedemorgen|goedemiddag|goedenavond|dag|hé|hoe gaat het',
    goodbye: 'tot ziens|doei|dag|tot straks|tot later|fijne dag|goedenacht|welterusten|tot morgen',
    thanks:
      'dank je|dank je wel|dankjewel|bedankt|dank u|dank u wel|hartelijk dank|dankuwel|heel erg bedankt|hartstikke bedankt',
    apology: 'sorry|het spijt me|pardon|excuses|excuseer|neem me niet kwalijk|mijn fout',
    confirmation:
      'ja|ja graag|jazeker|klopt|dat klopt|juist|inderdaad|oké|ok|zeker|natuurlijk|prima|goed|precies|akkoord|graag',
    rejection: 'nee|nee bedankt|neen|helemaal niet|fout|dat klopt niet|niet nu|ik wil niet|dat was alles',
    complaint:
      'klacht|klagen|werkt niet|doet het niet|kapot|onacceptabel|teleurgesteld|belachelijk|wacht nog steeds|nooit aangekomen|oplichting|slechte service|waardeloos',
    request:
      'alsjeblieft|alstublieft|kun je|kunt u|zou je|zou u|ik wil|ik wil graag|ik zoek|ik heb nodig|help me|laat me|laat zien|geef me|geef|vind|zoek|boek|reserveer|zet|speel|voeg|herinner me|toon|bestel|vertel me',
    question:
      'wat|wanneer|waar|wie|welke|welk|waarom|hoe|hoeveel|is er|zijn er|is|zijn|heb je|heeft u|kan ik|mag ik|gaat het',
  },
  da: {
    greeting: 'hej|goddag|godmorgen|god aften|hejsa',
    goodbye: 'farvel|vi ses|hej hej|ha det godt|god nat|hav en god dag',
    thanks: 'tak|mange tak|tusind tak|tak skal du have',
    apology: 'undskyld|beklager|det må du undskylde',
    confirmation: 'ja|ja tak|jo|okay|fint|selvfølgelig|korrekt|præcis|det er rigtigt',
    rejection: 'nej|nej tak|slet ikke|forkert',
    complaint: 'klage|virker ikke|ødelagt|uacceptabelt|skuffet|latterligt',
    request:
      'kan du|vil du|jeg vil|jeg vil gerne|jeg har brug for|vis mig|find|bestil|sæt|afspil|spil|tilføj|påmind mig|giv mig|fortæl mig|book|indstil|lav|mind mig|vis',
    question:
      'hvad|hvornår|hvor|hvem|hvilken|hvilke|hvilket|hvorfor|hvordan|hvor meget|hvor mange|er der|er|har du|bliver|kommer|vil det',
  },
  sv: {
    greeting: 'hej|hejsan|god morgon|god kväll|tjena|hallå',
    goodbye: 'hej då|adjö|vi ses|ha det bra|god natt|ha en bra dag',
    thanks: 'tack|tack så mycket|tusen tack|tackar|stort tack',
    apology: 'förlåt|ursäkta|jag är ledsen|beklagar',
    confirmation: 'ja|ja tack|jo|javisst|okej|självklart|precis|stämmer|det stämmer|visst',
    rejection: 'nej|nej tack|inte alls|fel|absolut inte',
    complaint: 'klagomål|fungerar inte|trasig|oacceptabelt|besviken|löjligt',
    request:
      'kan du|skulle du|jag vill|jag behöver|jag skulle vilja|visa mig|hitta|boka|beställ|spela|lägg till|påminn mig|ge mig|snälla',
    question: 'vad|när|var|vem|vilken|vilka|varför|hur|hur mycket|hur många|finns det|är|har du',
  },
  no: {
    greeting: 'hei|god dag|god morgen|god kveld|heisann',
    goodbye: 'ha det|ha det bra|vi sees|farvel|god natt|ha en fin dag',
    thanks: 'takk|tusen takk|mange takk|takk skal du ha',
    apology: 'unnskyld|beklager|jeg er lei meg',
    confirmation: 'ja|ja takk|jo|okei|greit|selvfølgelig|riktig|stemmer|det stemmer|akkurat',
    rejection: 'nei|nei takk|ikke i det hele tatt|feil',
    complaint: 'klage|virker ikke|fungerer ikke|ødelagt|uakseptabelt|skuffet|latterlig',
    request:
      'kan du|vil du|jeg vil|jeg vil gjerne|jeg trenger|vis meg|finn|bestill|spill|legg til|minn meg|gi meg|fortell meg|sett|still|vær så snill|vis',
    question: 'hva|når|hvor|hvem|hvilken|hvilke|hvorfor|hvordan|hvor mye|hvor mange|er det|er|har du|blir|kommer',
  },
  fi: {
    greeting: 'hei|moi|terve|hyvää huomenta|hyvää päivää|hyvää iltaa|moikka',
    goodbye: 'näkemiin|hei hei|nähdään|hyvää yötä|hyvää päivänjatkoa|moi moi',
    thanks: 'kiitos|kiitoksia|paljon kiitoksia|suuret kiitokset|kiitti',
    apology: 'anteeksi|olen pahoillani|pahoittelen',
    confirmation: 'kyllä|joo|juu|niin|oikein|selvä|totta kai|tietenkin|okei|hyvä on',
    rejection: 'ei|ei kiitos|en|väärin|ei todellakaan',
    complaint: 'valitus|ei toimi|rikki|pettynyt|naurettavaa',
    request:
      'voitko|voisitko|haluan|haluaisin|tarvitsen|etsi|varaa|näytä|soita|lisää|muistuta|auta|anna minulle|ole hyvä ja',
    question: 'mitä|mikä|milloin|missä|kuka|miksi|miten|kuinka|kuinka paljon|onko|oletko|voiko',
  },
  pl: {
    greeting: 'cześć|dzień dobry|dobry wieczór|hej|witam|siema',
    goodbye: 'do widzenia|na razie|pa|pa pa|do zobaczenia|dobranoc|miłego dnia',
    thanks: 'dziękuję|dziękuje|dzięki|dziękuję bardzo|wielkie dzięki|bardzo dziękuję',
    apology: 'przepraszam|przykro mi|wybacz|wybaczcie',
    confirmation: 'tak|tak proszę|oczywiście|dobrze|zgadza się|jasne|okej|dokładnie|pewnie|zgoda',
    rejection: 'nie|nie dziękuję|wcale nie|źle|absolutnie nie',
    complaint:
      'reklamacja|skarga|nie działa|zepsuty|zepsute|niedopuszczalne|rozczarowany|rozczarowana|oszustwo|skandal',
    request:
      'proszę|czy możesz|czy może pan|chcę|chciałbym|chciałabym|potrzebuję|szukam|pokaż|znajdź|zarezerwuj|dodaj|włącz|przypomnij|pomóż|daj mi|powiedz',
    question: 'co|kiedy|gdzie|kto|który|która|które|dlaczego|jak|ile|czy',
  },
  ru: {
    greeting: 'привет|здравствуйте|здравствуй|доброе утро|добрый день|добрый вечер|приветствую|как дела',
    goodbye: 'пока|до свидания|до встречи|увидимся|спокойной ночи|всего доброго|хорошего дня|прощай',
    thanks: 'спасибо|большое спасибо|спасибо большое|благодарю|благодарю вас|огромное спасибо',
    apology: 'извините|извини|простите|прости|прошу прощения|мне жаль',
    confirmation:
      'да|конечно|хорошо|ладно|верно|правильно|точно|окей|ок|согласен|согласна|именно|разумеется|да пожалуйста',
    rejection: 'нет|нет спасибо|не надо|неверно|неправильно|ни за что|не хочу|вовсе нет|это все',
    complaint:
      'жалоба|жаловаться|не работает|сломан|сломался|безобразие|возмутительно|разочарован|разочарована|все еще жду|обман|ужасный сервис',
    request:
      'пожалуйста|можете|можешь|могли бы вы|я хочу|хочу|мне нужно|мне нужен|мне нужна|ищу|покажи|покажите|найди|найдите|закажи|забронируй|включи|добавь|напомни|помогите|помоги|дайте|дай|скажи|скажите|хотел бы|хотела бы',
    question: 'что|когда|где|кто|какой|какая|какие|какое|почему|зачем|как|сколько|есть ли|можно ли|куда|откуда|чей',
  },
  tr: {
    greeting: 'merhaba|selam|günaydın|iyi akşamlar|iyi günler|nasılsın|nasılsınız',
    goodbye: 'görüşürüz|hoşça kal|hoşçakal|güle güle|iyi geceler|kendine iyi bak|iyi günler dilerim',
    thanks: 'teşekkürler|teşekkür ederim|çok teşekkürler|çok teşekkür ederim|sağ ol|sağol|sağ olun|eyvallah',
    apology: 'özür dilerim|pardon|üzgünüm|kusura bakma|kusura bakmayın|afedersiniz',
    confirmation: 'evet|evet lütfen|tamam|olur|doğru|elbette|tabii|tabii ki|kesinlikle|aynen|peki',
    rejection: 'hayır|hayır teşekkürler|yok|olmaz|yanlış|asla|istemiyorum|hiç de değil',
    complaint:
      'şikayet|şikayetçiyim|çalışmıyor|bozuk|kabul edilemez|hayal kırıklığı|rezalet|hala bekliyorum|gelmedi|dolandırıcılık',
    request:
      'lütfen|yapabilir misin|istiyorum|isterim|ihtiyacım var|arıyorum|göster|bul|rezervasyon yap|çal|ekle|hatırlat|ayarla|kur|yardım et|ver|söyle|bana',
    question: 'ne|ne zaman|nerede|kim|hangi|neden|niçin|nasıl|kaç|ne kadar|mı|mi|mu|mü|var mı|misin|mısın',
  },
  id: {
    greeting: 'halo|hai|selamat pagi|selamat siang|selamat sore|selamat malam|apa kabar',
    goodbye: 'selamat tinggal|sampai jumpa|dadah|selamat jalan|sampai nanti',
    thanks: 'terima kasih|makasih|terima kasih banyak|trims',
    apology: 'maaf|maafkan saya|mohon maaf|saya minta maaf',
    confirmation: 'ya|iya|baik|baiklah|benar|betul|tentu|tentu saja|oke|setuju|boleh',
    rejection: 'tidak|tidak terima kasih|nggak|bukan|salah|tidak mau',
    complaint: 'keluhan|tidak berfungsi|rusak|kecewa|tidak bisa diterima|penipuan|masih menunggu',
    request:
      'tolong|bisakah|bisa kamu|saya mau|saya ingin|saya butuh|saya perlu|saya mencari|cari|carikan|tampilkan|tunjukkan|pesan|putar|putarkan|tambahkan|ingatkan|atur|setel|bantu|beri|beritahu|mohon',
    question: 'apa|kapan|di mana|dimana|siapa|mana|mengapa|kenapa|bagaimana|berapa|apakah|adakah',
  },
  ar: {
    greeting: 'مرحبا|مرحباً|السلام عليكم|أهلا|اهلا|أهلاً|صباح الخير|مساء الخير|كيف حالك|هلا|سلام',
    goodbye: 'مع السلامة|وداعا|وداعاً|إلى اللقاء|الى اللقاء|تصبح على خير|باي|يوم سعيد',
    thanks: 'شكرا|شكراً|شكرا لك|شكرا جزيلا|شكراً جزيلاً|شكرًا|مشكور|أشكرك|اشكرك|يعطيك العافية',
    apology: 'آسف|اسف|عذرا|عذراً|أعتذر|اعتذر|المعذرة|سامحني|معذرة',
    confirmation: 'نعم|أجل|اجل|بالطبع|طبعا|أكيد|اكيد|صحيح|حسنا|حسناً|موافق|تمام|ايوه|أيوه|بالتأكيد|ماشي',
    rejection: 'لا|لا شكرا|كلا|ليس الآن|خطأ|أبدا|لا أريد|مش عايز',
    complaint: 'شكوى|لا يعمل|لا تعمل|معطل|غير مقبول|مستاء|سيئ|سيئة|احتيال|ما زلت أنتظر|لم يصل|لم تصل',
    request:
      'من فضلك|لو سمحت|رجاء|أريد|اريد|أحتاج|احتاج|أود|هل يمكنك|ممكن|ابحث|أبحث عن|احجز|شغل|أضف|اضف|ذكرني|ساعدني|أعطني|أخبرني|اعرض|عايز|ابغى|أبغى|بدي',
    question: 'ما|ماذا|متى|أين|اين|وين|من|أي|اي|لماذا|ليش|ليه|كيف|كم|هل|شو|ايش|إيش|لم',
  },
  zh: {
    greeting: '你好|您好|嗨|早上好|下午好|晚上好|哈喽|大家好|早安',
    goodbye: '再见|拜拜|回头见|晚安|下次见|再会|慢走|886|88',
    thanks: '收到谢谢|谢谢|多谢|感谢|谢啦|谢了|非常感谢|麻烦你了|麻烦您了|辛苦了|谢',
    apology: '对不起|抱歉|不好意思|请原谅',
    confirmation:
      '好的|是的|对的|没错|可以|行|嗯|当然|没问题|好吧|好啊|确认|同意|好|知道了|明白|了解|记下了|哦了|ok|ok',
    rejection: '不用|不要|不是|不行|不对|不可以|不需要|没有|算了|没有问题了|没问题了|没有其他问题',
    complaint: '投诉|太差|垃圾|坏了|不能用|没用|失望|不满意|骗子|还没收到|无法接受|太慢了',
    request:
      '请|帮我|我想|我要|我需要|给我|能不能|可以帮|麻烦|希望|推荐|查一下|查询|预订|播放|添加|提醒我|设置|告诉我|找一',
    question: '什么|什么时候|哪里|哪儿|谁|哪个|哪些|为什么|怎么|怎样|多少|几点|几个|吗|呢|是否|有没有|多远|多久|如何',
  },
  ja: {
    greeting: 'こんにちは|おはよう|おはようございます|こんばんは|はじめまして|やあ|もしもし',
    goodbye: 'さようなら|さよなら|またね|じゃあね|おやすみ|おやすみなさい|失礼します|バイバイ',
    thanks: 'ありがとう|ありがとうございます|どうも|感謝します|サンキュー|助かりました',
    apology: 'ごめん|ごめんなさい|すみません|申し訳|失礼しました',
    confirmation: 'はい|うん|ええ|そうです|その通り|了解|わかりました|大丈夫です|もちろん|オーケー',
    rejection: 'いいえ|いや|違います|ちがう|結構です|いりません|だめ|ダメ',
    complaint: '苦情|クレーム|動かない|動きません|壊れ|がっかり|最悪|ひどい|届かない|届きません|詐欺',
    request:
      'ください|下さい|お願い|してほしい|したい|欲しい|ほしい|教えて|見せて|探して|予約|再生|追加|設定|かけて|手伝って',
    question: '何|なに|いつ|どこ|誰|だれ|どれ|どの|なぜ|どうして|どう|いくら|いくつ|ですか|ますか|かな',
  },
};

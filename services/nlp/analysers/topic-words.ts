/**
 * Topics of chat and the words that speak for them, in several languages, lower case. A word's English plural need not
 * be listed. Closed list of topics; `docs/nlp.md` repeats it.
 */
export const TOPIC_WORDS: Readonly<Record<string, string>> = {
  banking:
    'bank account balance card credit debit loan mortgage iban pin overdraft atm cash withdrawal deposit savings routing cheque konto karte banque carte compte banco cuenta tarjeta saldo banca conto bancaria rekening bankkonto 银行 账户 信用卡 银行卡 بنك حساب بطاقة رصيد البنك البطاقة بطاقتي حسابي банк счет карта',
  payments:
    'pay payment paid transfer transaction refund invoice bill charge charged fee price cost currency exchange top-up topup paypal receipt zahlung rechnung überweisung paiement facture pago factura pagamento fattura betaling 付款 退款 支付 价格 دفع تحويل معاملة فاتورة رسوم оплата платеж',
  orders:
    'order purchase buy bought shop shopping cart checkout item product store retail exchange return bestellung kaufen commande acheter pedido comprar ordine acquisto bestelling 订单 购买 طلب شراء заказ купить',
  delivery:
    'delivery deliver shipping ship shipment package parcel track tracking courier address lieferung versand paket livraison colis envío entrega spedizione consegna bezorging levering 快递 配送 توصيل شحن доставка',
  account_access:
    'login password sign signup signin username register registration account unlock verify verification identity authentication passwort anmelden mot connexion contraseña accesso wachtwoord 密码 登录 كلمة المرور пароль',
  technical_support:
    'error crash crashed bug software update install app application website server internet wifi connection device phone laptop computer screen broken fix repair virus sync störung fehler panne erreur fallo errore storing 软件 خطأ تطبيق ошибка',
  insurance:
    'insurance claim policy coverage deductible premium insured versicherung assurance seguro assicurazione verzekering 保险 تأمين страховка',
  travel:
    'flight airline airport plane ticket trip travel vacation booking boarding luggage baggage seat visa passport itinerary tourist attraction flug reise vol voyage vuelo viaje volo viaggio vlucht reis 机票 航班 景点 旅游 رحلة سفر рейс',
  hotel:
    'hotel room check-in reservation hostel resort suite motel accommodation apartment airbnb zimmer unterkunft chambre hôtel habitación camera albergo kamer 酒店 宾馆 房间 فندق гостиница отель',
  transport:
    'bus train taxi cab uber ride car rental subway metro station route driver traffic bahn zug auto voiture coche treno macchina trein 地铁 出租车 公交 سيارة قطار такси поезд',
  food: 'restaurant food pizza burger coffee lunch dinner breakfast eat meal menu recipe cook cuisine drink salad dessert table latte espresso sandwich chicken essen küche manger cuisine comida restaurante cibo ristorante cucina eten 餐厅 餐馆 饭店 美食 吃 مطعم طعام ресторан еда レストラン',
  weather:
    'weather rain snow temperature forecast sunny cloudy storm wind humid cold hot regen wetter schnee météo pluie neige clima lluvia tiempo meteo pioggia weer regent 天气 下雨 طقس مطر погода 天気 hava cuaca vejr vær været vejret',
  music:
    'music song album playlist artist band concert singer spotify guitar lied musik chanson musique canción música canzone musica liedje muziek 音乐 歌曲 أغنية موسيقى музыка песня 曲 音楽 müzik lagu sang',
  film_and_tv:
    'movie film cinema actor actress theater theatre series show tv netflix episode director kino schauspieler cinéma película cine 电影 فيلم фильм кино 映画 bioscoop',
  books: 'book novel author reading library comic buch livre libro livro boek 书 كتاب книга 本 kitap bok bog',
  sports:
    'football soccer basketball baseball nfl nba team player game match league golf tennis olympics coach fußball spiel fútbol calcio voetbal 足球 比赛 كرة футбол',
  health:
    'doctor hospital medicine appointment pain sick symptom dentist clinic health medical pharmacy allergy headache arzt krankenhaus médecin hôpital médico dottore dokter 医院 医生 طبيب مستشفى врач',
  calendar:
    'alarm reminder remind calendar meeting schedule appointment timer wecker erinnerung termin alarme rappel recordatorio sveglia promemoria wekker herinnering 闹钟 提醒 تنبيه منبه アラーム リマインダー alarm hatırlatıcı pengingat',
  events:
    'event party festival ticket wedding birthday celebration museum exhibition venue veranstaltung événement fête evento fiesta festa feest 活动 حفلة праздник',
  education:
    'school university college student teacher exam course homework class study learn schule studium école étudiant escuela scuola studente 学校 学生 مدرسة школа',
  work: 'job work office boss salary employee company career payroll vacation pto arbeit travail trabajo lavoro werk 工作 عمل работа',
  home: 'light lamp thermostat house kitchen garden clean vacuum smart door licht maison casa huis 灯',
  politics:
    'president election government politics vote congress law senate wahl regierung gouvernement gobierno governo 政府 政治 حكومة выборы',
};

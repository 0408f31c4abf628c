import type { Phrases } from './phrases.ts';

export const SPANISH: Phrases = {
  language: 'es',
  items: ['los auriculares', 'la chaqueta', 'la cafetera', 'la lámpara'],
  days: ['el lunes', 'el miércoles', 'el viernes', 'el sábado'],
  hello: ['Hola', '¡Buenos días!', 'Buenas tardes, tengo una pregunta'],
  welcome: ['Hola, ¿en qué puedo ayudarle?', 'Bienvenido de nuevo, {name}. ¿Qué necesita?'],
  concerns: [
    {
      request: ['¿Dónde está mi pedido {order}?', 'Mi paquete tenía que llegar {day}, ¿dónde está?'],
      question: ['¿A qué ciudad va el paquete?', '¿Me dice su nombre y su ciudad, por favor?'],
      detail: ['Va a {city}, a nombre de {name}.', '{name}, vivo en {city}.'],
      solution: ['Gracias. El paquete está en camino y llega {day} a {city}.'],
    },
    {
      request: ['Quiero devolver esto: {item}.', 'Llegó todo roto y quiero que me devuelvan el dinero.'],
      question: ['Lo siento mucho. ¿Cuál es el número del pedido?'],
      detail: ['El número es {order}.'],
      solution: ['Le he enviado una etiqueta de devolución; el reembolso tarda tres días.'],
    },
    {
      request: ['¿Puedo reservar una mesa para cuatro {day}?', 'Necesito cambiar mi cita, mejor {day}.'],
      question: ['Claro. ¿En qué ciudad?'],
      detail: ['En {city}, por favor.'],
      solution: ['Hecho, {name}. Recibirá una confirmación.'],
    },
  ],
  aside: {
    content: ['¡Qué rápido, muy bien!'],
    matter_of_fact: ['Vale.', 'De acuerdo.'],
    playful: ['jajaja vale 😄', 'Cruzo los dedos 🤞'],
    upset: ['Llevo dos semanas esperando y estoy muy decepcionada.', 'Esto es inaceptable 😡'],
    rude: ['Qué servicio tan estúpido.', '¿Eres idiota o qué? Lee lo que escribí.'],
  },
  soothing: ['Lo entiendo, disculpe las molestias.', 'Un momento, lo miro ahora mismo.'],
  closing: {
    content: ['¡Muchísimas gracias, me ha ayudado mucho! 😊', 'Perfecto, justo lo que necesitaba.'],
    matter_of_fact: ['Gracias, eso es todo.', 'Vale, adiós.'],
    playful: ['Eres mi robot favorito 🤖🎉'],
    upset: ['No me sirve de nada.', 'No vuelvo a comprar aquí.'],
    rude: ['Vaya basura de tienda, sois unos inútiles.'],
  },
  goodbye: ['De nada, ¡que tenga un buen día!', '¡Hasta luego, {name}!'],
  handover: ['Le paso con una compañera, un momento por favor.'],
  agent: ['Hola {name}, soy una persona de verdad y hoy mismo lo resuelvo.'],
};

export const PORTUGUESE: Phrases = {
  language: 'pt',
  items: ['os fones de ouvido', 'a jaqueta', 'a cafeteira', 'a luminária'],
  days: ['segunda-feira', 'quarta-feira', 'sexta-feira', 'sábado'],
  hello: ['Olá', 'Oi, tudo bem?', 'Bom dia!'],
  welcome: ['Olá, como posso ajudar?', 'Oi {name}, do que você precisa?'],
  concerns: [
    {
      request: ['Onde está o meu pedido {order}?', 'A encomenda devia chegar na {day} e ainda não veio.'],
      question: ['Para qual cidade é a entrega?'],
      detail: ['Para {city}, em nome de {name}.'],
      solution: ['Obrigado. A encomenda está a caminho e chega na {day}.'],
    },
    {
      request: ['Quero devolver o que comprei: {item}.', 'Chegou tudo quebrado, quero o meu dinheiro de volta.'],
      question: ['Sinto muito. Qual é o número do pedido?'],
      detail: ['O número é {order}.'],
      solution: ['Enviei uma etiqueta de devolução, o reembolso leva três dias.'],
    },
  ],
  aside: {
    content: ['Que rápido, muito bom!'],
    matter_of_fact: ['Certo.', 'Está bem.'],
    playful: ['kkkk tá bom 😄'],
    upset: ['Estou esperando há duas semanas, que decepção.', 'Isso é um absurdo 😡'],
    rude: ['Que atendimento idiota.', 'Você é burro? Leia o que eu escrevi.'],
  },
  soothing: ['Entendo, peço desculpas pelo transtorno.', 'Um momento, já estou verificando.'],
  closing: {
    content: ['Muito obrigada, você foi ótimo! 😊', 'Perfeito, era isso mesmo.'],
    matter_of_fact: ['Obrigado, é só isso.', 'Ok, tchau.'],
    playful: ['Melhor robô do mundo 🤖🎉'],
    upset: ['Isso não me ajuda em nada.', 'Nunca mais compro aqui.'],
    rude: ['Que loja horrível, bando de inúteis.'],
  },
  goodbye: ['De nada, tenha um bom dia!', 'Até logo, {name}!'],
  handover: ['Vou passar para uma colega, um momento por favor.'],
  agent: ['Oi {name}, aqui é uma pessoa de verdade. Vou resolver isso hoje.'],
};

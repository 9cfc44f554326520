// A Worker that does nothing: the first floor. Its answer has the size of a real one.
import answer from "./constant.json";

const body = JSON.parse(answer);

export default {
  fetch() {
    return new Response(body);
  },
};

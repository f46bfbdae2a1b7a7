// @ts-check
// Types of the interface for programs, as /openapi.json describes them: what the page uses of it.

/**
 * @typedef {'detect' | 'caption' | 'answer' | 'match' | 'statement' | 'entail' | 'attention' | 'codes' | 'features' | 'search'} Head
 *
 * @typedef {object} CaptionDefaults
 * @property {number} num_beams
 * @property {number} length_penalty
 * @property {number} min_new_tokens
 * @property {number} max_new_tokens
 * @property {number} no_repeat_ngram_size
 *
 * @typedef {object} Model
 * @property {string} name
 * @property {'e2e-vlp' | 'soho'} system
 * @property {string} preset
 * @property {number} step
 * @property {string} device
 * @property {Head[]} heads
 * @property {{name: string, classes: string[], attributes: string[]}[]} label_spaces
 * @property {string[]} answers
 * @property {boolean} premise
 * @property {number} codes
 * @property {{rule: string}} image_size
 * @property {CaptionDefaults | null} caption
 * @property {{images: number, texts: number, thumbnails: boolean} | null} search
 * @property {number} examples
 *
 * @typedef {object} Limits
 * @property {number} max_body_bytes
 * @property {number} max_texts
 * @property {number} max_text_bytes
 * @property {number} max_pixels
 * @property {number} max_side
 * @property {number} timeout_seconds
 *
 * @typedef {{index: number, name: string, width: number, height: number, captions: string[], right: number | null}} Example
 *
 * @typedef {object} DetectedObject
 * @property {number} query
 * @property {string} class
 * @property {number} score
 * @property {[number, number, number, number]} bbox left, top, right, bottom in pixels of the image
 * @property {{name: string, probability: number}[]} attributes
 *
 * @typedef {{width: number, height: number, objects: DetectedObject[]}} Detection
 * @typedef {{text: string, score: number}} Caption
 * @typedef {{question: string, answers: {answer: string, probability: number}[]}} AnsweredQuestion
 * @typedef {{text: string, probability: number}} Match
 * @typedef {{statement: string, probability: number}} JudgedStatement
 * @typedef {{hypothesis: string, entailment: number, neutral: number, contradiction: number}} EntailedHypothesis
 *
 * @typedef {{image: number, name: string, similarity: number, probability: number | null, texts: string[]}} ImageHit
 * @typedef {{text: string, similarity: number, probability: number | null, images: number[], image_count: number}} TextHit
 * @typedef {{images: ImageHit[], texts: TextHit[], compared: number, reranked: number}} SearchHits
 *
 * @typedef {object} Attention
 * @property {number} rows
 * @property {number} columns
 * @property {{query: number, weights: number[]}[]} queries
 * @property {TextAttention[]} captions
 * @property {TextAttention[]} texts
 *
 * @typedef {{text: string, words: {word: string, weights: number[]}[]}} TextAttention
 * @typedef {{rows: number, columns: number, codes: number[]}} CodeGrid
 *
 * @typedef {object} Code
 * @property {number} code
 * @property {number} uses
 * @property {number} cells
 * @property {{word: string, pmi: number}[]} words
 * @property {{example: number, row: number, column: number, png: string}[]} patches
 */

export {};
